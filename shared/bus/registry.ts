// Every method of every service by its name on the wire: what a daemon passes on need not be what
// it serves itself.

import { services } from "#proto/services.ts";
import type { Method, Service } from "./types.ts";

const methods = new Map<string, Method>();

/** For tests that bring a service of their own. */
export function register(service: Service): void {
  for (const method of Object.values(service.methods)) methods.set(method.name, method);
}

for (const service of Object.values(services)) register(service);

export function knownMethod(name: string): Method | undefined {
  return methods.get(name);
}

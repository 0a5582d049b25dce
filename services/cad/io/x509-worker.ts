// The worker that holds the certificate library: one request, one answer (x509-link.ts).

import * as x509 from "./x509.ts";
import type { X509Answer, X509Question } from "./x509-link.ts";

declare const self: {
  onmessage: (event: { data: X509Question }) => void;
  postMessage(answer: X509Answer): void;
};

self.onmessage = async ({ data: { id, name, parts } }) => {
  try {
    const act = x509[name] as (...given: unknown[]) => unknown;
    self.postMessage({ id, result: await act(...parts) });
  } catch (error) {
    self.postMessage({ id, error: (error as Error).message });
  }
};

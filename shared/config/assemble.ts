// Texts and flags to the effective configuration: a plain function of its input.

import { buildServices } from "./build/definitions.ts";
import type { Settings } from "./decode.ts";
import type { ServiceDefinition } from "./definitions.ts";
import { buildEffective } from "./effective.ts";
import type { HostFacts } from "./host-facts.ts";
import { internalKeys } from "./keys/features.ts";
import { defaultSettings, devSettings, mergeSettings } from "./merge.ts";
import { SettingsReader } from "./reader.ts";
import { seal } from "./seal.ts";
import { ConfigRefusal, joinRefusals, parseSource } from "./source.ts";
import type { ConfigSource } from "./source.ts";
import { keyByPath } from "./table.ts";
import type { EffectiveConfig } from "./types.ts";

export interface ConfigInput {
  /** Files in their order. */
  files: readonly ConfigSource[];
  /** -hcl texts in their order. */
  fragments: readonly string[];
  /** Settings that files extend, and settings that beat files. */
  flags: { lists: Settings; scalars: Settings };
  dev: boolean;
  host: HostFacts;
}

export interface LoadedConfig {
  /** Undefined when there are errors. */
  config: EffectiveConfig | undefined;
  warnings: string[];
  /** Keys that were set, are Consul's, and that nothing here acts on yet. */
  notServed: string[];
  /** What makes the configuration unusable; Consul stops at the first. */
  errors: string[];
}

export function loadConfig(input: ConfigInput): LoadedConfig {
  const warnings: string[] = [];
  try {
    const given = [
      input.flags.lists,
      ...input.files.map((file) => parseSource(file, warnings)),
      input.flags.scalars,
      ...input.fragments.map((text, i) =>
        parseSource({ name: `flags-${i}.hcl`, format: "hcl", text }, warnings)
      ),
    ];
    const base = input.dev ? [defaultSettings(), devSettings()] : [defaultSettings()];
    const settings = mergeSettings([...base, ...given]);
    for (const { path, initial } of internalKeys) settings.set(path, initial);
    const config = seal(buildEffective(settings, input.dev, input.host, warnings));
    return { config, warnings, notServed: unserved(given), errors: [] };
  } catch (error) {
    if (!(error instanceof ConfigRefusal)) throw error;
    return { config: undefined, warnings, notServed: [], errors: [error.message] };
  }
}

function unserved(layers: readonly Settings[]): string[] {
  const paths = new Set(layers.flatMap((layer) => [...layer.keys()]));
  return [...paths].filter((path) => keyByPath.get(path)!.usedBy.length === 0).sort();
}

/** The services of one text (`services register FILE`). Throws ConfigRefusal. */
export function parseServices(source: ConfigSource): ServiceDefinition[] {
  const read = new SettingsReader(parseSource(source, []), []);
  const services = buildServices(read);
  if (read.errors.length > 0) throw new ConfigRefusal(joinRefusals(read.errors));
  return services;
}

// Why a configuration cannot be used.

/** The configuration cannot be used; the message is Consul's. */
export class ConfigRefusal extends Error {
  override name = "ConfigRefusal";
}

/** Several complaints as one text: a list, closed by an empty line. */
export function joinRefusals(texts: readonly string[]): string {
  const heading = texts.length === 1 ? "1 error" : `${texts.length} errors`;
  return `${heading} occurred:\n${texts.map((text) => `\t* ${text}\n`).join("")}\n`;
}

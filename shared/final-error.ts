// What ends a daemon for good: starting it again would end the same way.

/** Its exit status, by which the supervisor knows (sysexits EX_CONFIG). */
export const finalStatus = 78;

export class FinalError extends Error {
  override name = "FinalError";
}

// Where the file of a worker is: beside its source in a checkout, in the root of the embedded files
// of a compiled executable (scripts/compile names each worker as an entry point).

const embeddedRoot = "/$bunfs/root/";

/** `path` is from the repository's root, with its .ts. */
export function workerFile(path: string): string {
  return import.meta.path.startsWith(embeddedRoot)
    ? `${embeddedRoot}${path.replace(/\.ts$/, ".js")}`
    : new URL(`../${path}`, import.meta.url).href;
}

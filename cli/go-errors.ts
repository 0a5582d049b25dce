// Errors of the operating system in the words of Go's library.

/** `open x: no such file or directory` */
export function goOpenError(path: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const cause = code === "ENOENT"
    ? "no such file or directory"
    : code === "EACCES"
    ? "permission denied"
    : code === "EISDIR"
    ? "is a directory"
    : String(code);
  return `${code === "EISDIR" ? "read" : "open"} ${path}: ${cause}`;
}

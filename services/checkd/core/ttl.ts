// Texts of checks that a program reports for itself (TTL).

/** What is kept of a note: the first bytes, and how many there were. */
export function cutNote(note: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(note);
  if (bytes.length <= bytesMax) return note;
  const head = new TextDecoder().decode(bytes.subarray(0, bytesMax));
  return `${head} ... (captured ${bytesMax} of ${bytes.length} bytes)`;
}

export function expiredOutput(lastNote: string): string {
  return lastNote === ""
    ? "TTL expired"
    : `TTL expired (last output before timeout follows): ${lastNote}`;
}

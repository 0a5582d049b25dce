// The Date header of every answer, made once a second.

let second = 0;
let text = "";

/** As HTTP writes it; 29 characters, always. */
export function httpDate(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1000).toUTCString();
  }
  return text;
}

export function dateLine(): string {
  return `Date: ${httpDate()}\r\n`;
}

import { expect, test } from "bun:test";
import { X509Link } from "./x509-link.ts";

test("the worker answers, tells errors, and starts anew after its end", async () => {
  const link = new X509Link();
  const { generateKey, certificateFacts, makeRoot } = link.functions;
  const keyPem = await generateKey("ec", 256);
  const period = { notBeforeMs: 0, notAfterMs: 1e12 };
  const pem = await makeRoot(keyPem, "a.consul", "spiffe://a.consul", 5, period);
  expect((await certificateFacts(pem)).serial).toBe(5n);
  // Not `expect().rejects`: it holds the loop that the worker's messages need.
  expect(await messageOf(certificateFacts("garbage"))).toBeDefined();
  const lost = generateKey("ec", 256);
  link.stop();
  expect(await messageOf(lost)).toBe("cad stops");
  expect(await generateKey("ec", 384)).toContain("BEGIN EC PRIVATE KEY");
  link.stop();
});

function messageOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, (error: Error) => error.message);
}

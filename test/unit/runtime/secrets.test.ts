import { rmSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isWebhookSecret } from "../../../engine/webhooks/signature.ts";
import { DataDirectory } from "../../../runtime/data-directory.ts";
import { loadSecrets } from "../../../runtime/secrets.ts";
import { scratchFolder } from "../../support/scratch.ts";

let directory: DataDirectory;
beforeEach(() => {
  directory = DataDirectory.open(scratchFolder("secrets"), "http://127.0.0.1:1");
});
afterEach(() => {
  directory.close();
  rmSync(directory.path, { recursive: true, force: true });
});

it("are made once, and kept", () => {
  const made = loadSecrets(directory);
  expect(isWebhookSecret(made.paymentWebhook)).toBe(true);
  expect(loadSecrets(directory)).toEqual(made);
});

it("of an earlier version get what they lack, once, and are otherwise as they were", () => {
  const { paymentWebhook, ...earlier } = loadSecrets(directory);
  directory.writeJson("secrets.json", earlier);
  const now = loadSecrets(directory);
  expect(now).toEqual({ ...earlier, paymentWebhook: expect.stringMatching(/^whsec_/) });
  expect(now.paymentWebhook).not.toBe(paymentWebhook);
  expect(loadSecrets(directory)).toEqual(now);
});

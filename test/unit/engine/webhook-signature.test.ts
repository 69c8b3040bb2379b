import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import {
  isStale,
  isWebhookSecret,
  newWebhookSecret,
  signWebhook,
  TOLERANCE_SECONDS,
  verifyWebhook,
} from "../../../engine/webhooks/signature.ts";

const secret = newWebhookSecret();
const other = newWebhookSecret();
const body = Buffer.from('{"type":"charge.succeeded","data":{"key":"주문:1"}}');
const now = 1_790_000_000;

function signed(by = secret, at = now, id = "evt_1") {
  return { id, timestamp: String(at), signature: signWebhook(by, id, at, body) };
}

describe("what the public library of the convention signs and checks", () => {
  test("its signature is genuine here", () => {
    const at = new Date(now * 1_000);
    const signature = new Webhook(secret).sign("evt_1", at, body.toString());
    expect(verifyWebhook([secret], { id: "evt_1", timestamp: String(now), signature }, body).type).toBe("genuine");
  });

  test("ours is genuine there", () => {
    const at = Math.floor(Date.now() / 1_000);
    const { id, timestamp, signature } = signed(secret, at);
    const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
    expect(new Webhook(secret).verify(body.toString(), headers)).toMatchObject({ type: "charge.succeeded" });
  });
});

describe("verifyWebhook", () => {
  test("says which event it is", () => {
    expect(verifyWebhook([secret], signed(), body)).toEqual({
      type: "genuine",
      id: "evt_1",
      timestampSeconds: now,
    });
  });

  test("takes either of two secrets, and a header that carries the signatures of both", () => {
    expect(verifyWebhook([other, secret], signed(), body).type).toBe("genuine");
    const both = { ...signed(), signature: `${signed(other).signature} ${signed().signature}` };
    expect(verifyWebhook([secret], both, body).type).toBe("genuine");
  });

  test.each([
    ["another secret", [other], signed(), body],
    ["no secret at all", [], signed(), body],
    ["another id", [secret], { ...signed(), id: "evt_2" }, body],
    ["another time within the tolerance", [secret], { ...signed(), timestamp: String(now + 1) }, body],
    ["a byte more", [secret], signed(), Buffer.concat([body, Buffer.from(" ")])],
    ["bytes that no text tells apart", [secret], signed(), Buffer.concat([body, Buffer.from([0xff])])],
    ["another version", [secret], { ...signed(), signature: signed().signature.replace("v1,", "v2,") }, body],
    ["half a signature", [secret], { ...signed(), signature: signed().signature.slice(0, 20) }, body],
    ["no base64", [secret], { ...signed(), signature: "v1,%%%%" }, body],
  ])("calls forged: %s", (_what, secrets, headers, bytes) => {
    expect(verifyWebhook(secrets, headers, bytes).type).toBe("forged");
  });

  test("every bit of body and signature counts", () => {
    for (let bit = 0; bit < body.length * 8; bit += 1) {
      const altered = Buffer.from(body);
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(verifyWebhook([secret], signed(), altered).type).toBe("forged");
    }
    const mac = Buffer.from(signed().signature.slice(3), "base64");
    for (let bit = 0; bit < mac.length * 8; bit += 1) {
      const altered = Buffer.from(mac);
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      const headers = { ...signed(), signature: `v1,${altered.toString("base64")}` };
      expect(verifyWebhook([secret], headers, body).type).toBe("forged");
    }
  });

  test.each([
    ["too old", now - TOLERANCE_SECONDS - 1, true],
    ["just within", now - TOLERANCE_SECONDS, false],
    ["from a clock ahead", now + TOLERANCE_SECONDS + 1, true],
  ])("is stale when %s", (_what, at, stale) => {
    expect(isStale(at, now)).toBe(stale);
  });

  test.each([
    ["no id", { ...signed(), id: undefined }],
    ["no timestamp", { ...signed(), timestamp: undefined }],
    ["no signature", { ...signed(), signature: undefined }],
    ["a full stop in the id", { ...signed(), id: "a.b" }],
    ["an id of 256 characters", { ...signed(), id: "a".repeat(256) }],
    ["a timestamp that is no number", { ...signed(), timestamp: "1e9" }],
  ])("calls malformed: %s", (_what, headers) => {
    expect(verifyWebhook([secret], headers, body).type).toBe("malformed");
  });
});

test.each([
  [newWebhookSecret(), true],
  [`whsec_${Buffer.alloc(24, 1).toString("base64")}`, true],
  [`whsec_${Buffer.alloc(23, 1).toString("base64")}`, false],
  [`whsec_${Buffer.alloc(65, 1).toString("base64")}`, false],
  ["whsec_????????????????????????????????????????", false],
  [Buffer.alloc(32).toString("base64"), false],
  ["", false],
])("isWebhookSecret(%s) is %s", (text, is) => {
  expect(isWebhookSecret(text)).toBe(is);
});

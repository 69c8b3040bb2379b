// The simulated provider's HTTP face (protocol.ts says what it speaks).
import { hash, timingSafeEqual } from "node:crypto";
import { type Context, Hono } from "hono";
import { BatcherFullError } from "../../../../engine/admission/batcher.ts";
import type { Logger } from "../../../../engine/log.ts";
import type { Charge } from "./charges.ts";
import {
  type BatchResult,
  ChargeBody,
  ChargesBody,
  Key,
  keyReused,
  LedgerQuery,
  ModeBody,
  parse,
  RefundBody,
  Refusal,
  unavailable,
} from "./protocol.ts";
import type { ChargeAnswer, Provider } from "./provider.ts";
import type { RefundAnswer } from "./refunds.ts";
import { answersAtOnce, declineCode } from "./tokens.ts";

/** A full batch has about 20 KB. */
const BODY_BYTES_MAX = 128 * 1_024;
/** What never answers is let go after this long: nobody is that patient. */
const SILENCE_MS_MAX = 60_000;
const NEVER = new AbortController().signal;

/** Builds the app. `apiKey` is what its callers must show. */
export function createProviderApp(provider: Provider, apiKey: string, log: Logger): Hono {
  const app = new Hono();
  app.get("/healthz", async (c) => {
    await provider.check();
    return c.json({ status: "ok" });
  });

  const authorized = bearerCheck(apiKey);
  app.use(async (c, next) => {
    if (!authorized(c.req.header("authorization"))) {
      throw new Refusal(401, "unauthorized", "Authorization: Bearer with the API key is needed.");
    }
    await next();
  });

  app.post("/charges", async (c) => {
    const key = idempotencyKey(c);
    const body = parse(ChargeBody, await readJson(c));
    const answer = await provider.charge({ key, ...body }, patience(c, body.token));
    if (answer.type === "key_reused") throw keyReused();
    if (answer.charge.state === "error") throw unavailable();
    return c.json(chargeBody(answer.charge));
  });
  app.post("/charges/batch", async (c) => {
    const { charges } = parse(ChargesBody, await readJson(c));
    const results = charges.map(async (asked) => batchResult(asked.key, await provider.chargeAtOnce(asked)));
    return c.json({ results: await Promise.all(results) });
  });
  app.get("/charges/:key", async (c) => {
    const charge = await provider.findCharge(parse(Key, c.req.param("key")));
    if (!charge) throw new Refusal(404, "charge_not_found", "No money moved under this key.");
    return c.json(chargeBody(charge));
  });

  app.post("/refunds", async (c) => {
    const key = idempotencyKey(c);
    const answer = await provider.refund({ key, ...parse(RefundBody, await readJson(c)) });
    return c.json(refundBody(answer));
  });
  app.get("/refunds/:key", async (c) => {
    const refund = await provider.findRefund(parse(Key, c.req.param("key")));
    if (!refund) throw new Refusal(404, "refund_not_found", "No money moved under this key.");
    return c.json({ id: refund.id, status: "succeeded" });
  });
  app.put("/charge-mode", async (c) => {
    const { mode } = parse(ModeBody, await readJson(c));
    await provider.setChargeMode(mode);
    return c.json({ mode });
  });
  app.put("/refund-mode", async (c) => {
    const { mode } = parse(ModeBody, await readJson(c));
    await provider.setRefundMode(mode);
    return c.json({ mode });
  });

  app.get("/ledger", async (c) => {
    const { after, limit } = parse(LedgerQuery, c.req.query());
    const charges = await provider.ledger(after, limit);
    return c.json({ charges, next: charges.length === limit ? (charges.at(-1)?.key ?? null) : null });
  });

  app.notFound((c) => c.json({ code: "not_found", detail: "There is nothing here." }, 404));
  app.onError((error, c) => {
    const refusal = error instanceof BatcherFullError ? unavailable() : error;
    if (refusal instanceof Refusal) return c.json({ code: refusal.code, detail: refusal.message }, refusal.status);
    // The books may have it all the same: whoever asked looks the key up. A caller who went away hears nothing.
    if (!c.req.raw.signal.aborted) log.error({ err: error, path: c.req.path }, "the outcome is not known");
    return c.json({ code: "outcome_unknown", detail: "Look the key up." }, 500);
  });
  return app;
}

/** Digests are compared: they have one length, and the time it takes says nothing about the key. */
function bearerCheck(apiKey: string): (header: string | undefined) => boolean {
  const digest = (value: string) => hash("sha256", value, "buffer");
  const expected = digest(`Bearer ${apiKey}`);
  return (header) => timingSafeEqual(digest(header ?? ""), expected);
}

function idempotencyKey(c: Context): string {
  return parse(Key.describe("Idempotency-Key"), c.req.header("idempotency-key") ?? "");
}

/** Ends when the caller hangs up. Not looked for where the answer comes at once: it would cost every request. */
function patience(c: Context, token: string): AbortSignal {
  return answersAtOnce(token) ? NEVER : AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(SILENCE_MS_MAX)]);
}

async function readJson(c: Context): Promise<unknown> {
  const length = c.req.header("content-length");
  if (length === undefined) throw new Refusal(411, "length_required", "Content-Length is needed.");
  if (Number(length) > BODY_BYTES_MAX) throw new Refusal(413, "too_large", `At most ${BODY_BYTES_MAX} bytes.`);
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "invalid_request", "The body is not JSON.");
  }
}

function chargeBody(charge: Charge): { id: string; status: "succeeded" | "declined" | "processing"; code?: string } {
  if (charge.state === "succeeded" || charge.state === "processing") return { id: charge.id, status: charge.state };
  return { id: charge.id, status: "declined", code: declineCode(charge.token) };
}

function batchResult(key: string, answer: ChargeAnswer | { readonly type: "pending" }): BatchResult {
  switch (answer.type) {
    case "pending":
      return { key, status: "pending" };
    case "key_reused":
      return { key, status: "rejected", code: keyReused().code };
    case "booked":
      if (answer.charge.state === "error") return { key, status: "unavailable", code: unavailable().code };
      return { key, ...chargeBody(answer.charge) };
  }
}

function refundBody(answer: RefundAnswer): { id: string; status: "succeeded" } {
  switch (answer.type) {
    case "booked":
      return { id: answer.refund.id, status: "succeeded" };
    case "key_reused":
      throw keyReused();
    case "charge_not_found":
      throw new Refusal(404, "charge_not_found", "Nothing was charged under this key.");
    case "exceeds_charge":
      throw new Refusal(409, "refund_exceeds_charge", "All refunds together would exceed the charge.");
    case "refused":
      throw new Refusal(409, "refund_refused", "The provider refuses refunds at present.");
    case "unavailable":
      throw unavailable();
  }
}

// Webhooks of payment providers at the API: who is believed, what is noted, and what is asked about.
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { newWebhookSecret, signWebhook, TOLERANCE_SECONDS } from "../../engine/webhooks/signature.ts";
import { callApp, openApiShop } from "./api-shop.ts";

const PATH = "/api/v1/webhooks/payments";
const secret = newWebhookSecret();
const previous = newWebhookSecret();
const shop = await openApiShop();
const app = shop.appWith({ paymentWebhookSecrets: [secret, previous] });
const now = async () => Math.floor((await redisNowMs(shop.deps.redis)) / 1_000);

const eventId = () => `evt_${randomUUID()}`;
const charge = "018f0000-0000-7000-8000-000000000001:1";
const succeeded = { type: "charge.succeeded", timestamp: "2026-11-27T01:00:00Z", data: { key: charge } };

interface Delivery {
  readonly id?: string;
  readonly at?: number;
  readonly by?: string;
  readonly body?: unknown;
  readonly tamper?: (body: string) => string;
}

/** Delivers an event, signed. */
async function deliver({ id = eventId(), at, by = secret, body = succeeded, tamper = (text) => text }: Delivery = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const timestamp = at ?? (await now());
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signWebhook(by, id, timestamp, text),
  };
  return callApp(app, "POST", PATH, { headers, body: tamper(text) });
}

async function noted(id: string) {
  const events = await shop.pool.query(
    "SELECT type, key, handled_at IS NULL AS open FROM payment_events WHERE id = $1",
    [id],
  );
  const jobs = await shop.pool.query(
    "SELECT count(*)::int AS count FROM pgboss.job WHERE name = 'payment-event' AND data->'eventIds' ? $1",
    [id],
  );
  return { events: events.rows, jobs: (jobs.rows[0] as { count: number }).count };
}

describe("a genuine event", () => {
  it("is noted, and the charge that it names is asked about", async () => {
    const id = eventId();
    const answer = await deliver({ id });
    expect([answer.status, answer.body]).toMatchObject([200, { id, replayed: false }]);
    expect(await noted(id)).toEqual({ events: [{ type: "charge.succeeded", key: charge, open: true }], jobs: 1 });
  });

  it("may be signed with the secret before the present one", async () => {
    expect((await deliver({ by: previous })).status).toBe(200);
  });

  it("has no second effect when it comes again, be it fifty times at once", async () => {
    const id = eventId();
    const answers = await Promise.all(Array.from({ length: 50 }, () => deliver({ id })));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.filter(({ body }) => (body as unknown as { replayed: boolean }).replayed)).toHaveLength(49);
    expect((await noted(id)).jobs).toBe(1);
  });

  it("that names nothing is noted, and nobody is asked", async () => {
    const id = eventId();
    expect((await deliver({ id, body: { type: "payout.paid" } })).status).toBe(200);
    expect(await noted(id)).toEqual({ events: [{ type: "payout.paid", key: null, open: false }], jobs: 0 });
  });

  it("is not counted against its sender's rate", async () => {
    const rateLimit = { enabled: true, ordersPerSecond: 1, requestsPerSecond: 1, loginsPerMinute: 1 };
    const strict = shop.appWith({ paymentWebhookSecrets: [secret], rateLimit });
    const at = await now();
    for (let i = 0; i < 20; i += 1) {
      const id = eventId();
      const text = JSON.stringify(succeeded);
      const headers = {
        "webhook-id": id,
        "webhook-timestamp": String(at),
        "webhook-signature": signWebhook(secret, id, at, text),
      };
      expect((await callApp(strict, "POST", PATH, { headers, body: text })).status).toBe(200);
    }
    const forged = Array.from({ length: 20 }, () => callApp(strict, "POST", PATH, { body: succeeded }));
    expect((await Promise.all(forged)).map(({ status }) => status)).toContain(429);
  });
});

describe("is refused, and leaves nothing:", () => {
  const refused = async (delivery: Delivery) => {
    const id = eventId();
    const answer = await deliver({ id, ...delivery });
    expect(await noted(id)).toEqual({ events: [], jobs: 0 });
    return [answer.status, answer.body.code];
  };

  it("what another secret signed", async () => {
    expect(await refused({ by: newWebhookSecret() })).toEqual([401, "UNAUTHENTICATED"]);
  });

  it("a body that was altered on the way", async () => {
    const tamper = (body: string) => body.replace("succeeded", "declined!");
    expect(await refused({ tamper })).toEqual([401, "UNAUTHENTICATED"]);
  });

  it("what is too old, and what is from the future, by Redis' clock", async () => {
    const at = await now();
    expect(await refused({ at: at - TOLERANCE_SECONDS - 5 })).toEqual([401, "UNAUTHENTICATED"]);
    expect(await refused({ at: at + TOLERANCE_SECONDS + 5 })).toEqual([401, "UNAUTHENTICATED"]);
  });

  it("what nobody signed", async () => {
    const answer = await callApp(app, "POST", PATH, { body: succeeded });
    expect([answer.status, answer.body.code]).toEqual([401, "UNAUTHENTICATED"]);
  });

  it("everything, where no secret is configured", async () => {
    const id = eventId();
    const at = await now();
    const text = JSON.stringify(succeeded);
    const signature = signWebhook("whsec_", id, at, text);
    const headers = { "webhook-id": id, "webhook-timestamp": String(at), "webhook-signature": signature };
    const answer = await callApp(shop.app, "POST", PATH, { headers, body: text });
    expect(answer.status).toBe(401);
  });

  it.each([
    ["no JSON", "{"],
    ["an empty body", ""],
    ["no type", "{}"],
    ["a type that is none", { type: 7 }],
    ["a key that is none", { type: "x", data: { key: "주문" } }],
    ["a key that is too long", { type: "x", data: { key: "k".repeat(256) } }],
    ["null", "null"],
  ])("%s, well signed", async (_what, body) => {
    expect(await refused({ body })).toEqual([400, "VALIDATION"]);
  });

  it("a body beyond the limit", async () => {
    expect(await refused({ body: { type: "x", blob: "x".repeat(300_000) } })).toEqual([413, "PAYLOAD_TOO_LARGE"]);
  });
});

it("10,000 random bodies, half of them well signed, are never a 500", { timeout: 120_000 }, async () => {
  const at = await now();
  const statuses = new Map<number, number>();
  const anything = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.json(),
    fc
      .record({
        type: fc.oneof(fc.string(), fc.anything()),
        data: fc.oneof(fc.anything(), fc.record({ key: fc.string() })),
      })
      .map((value) =>
        JSON.stringify(value, (_name, part: unknown) => (typeof part === "bigint" ? String(part) : part)),
      ),
  );
  const cases = fc.record({
    body: anything.map((text) => (text ?? "").toWellFormed()),
    signed: fc.boolean(),
    id: fc.oneof(fc.uuid(), fc.string({ maxLength: 20 })),
    junk: fc.string({ maxLength: 50 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ body, signed, id, junk }) => {
      const name = encodeURIComponent(id) || "x";
      const headers = {
        "webhook-id": name,
        "webhook-timestamp": signed ? String(at) : encodeURIComponent(junk),
        "webhook-signature": signed ? signWebhook(secret, name, at, body) : `v1,${encodeURIComponent(junk)}`,
      };
      const { status } = await callApp(app, "POST", PATH, { headers, body });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect([200, 400, 401]).toContain(status);
    }),
    { numRuns: 10_000, seed: 20_261_121 },
  );
  // Each kind of answer was really met.
  for (const status of [200, 400, 401]) expect(statuses.get(status)).toBeGreaterThan(100);
});

describe("Stripe's events", () => {
  const stripeSecret = "whsec_0123456789abcdef0123456789abcdef";
  const stripeApp = shop.appWith({ paymentGateway: "stripe", paymentWebhookSecrets: [stripeSecret] });
  const event = (id: string) =>
    JSON.stringify({
      id,
      object: "event",
      type: "payment_intent.succeeded",
      data: { object: { id: "pi_1", object: "payment_intent", metadata: { key: charge } } },
    });

  it("are taken as the official client signs them", async () => {
    const id = eventId();
    const payload = event(id);
    const header = Stripe.webhooks.generateTestHeaderString({ payload, secret: stripeSecret, timestamp: await now() });
    const answer = await callApp(stripeApp, "POST", PATH, { headers: { "stripe-signature": header }, body: payload });
    expect(answer.status).toBe(200);
    expect(await noted(id)).toEqual({
      events: [{ type: "payment_intent.succeeded", key: charge, open: true }],
      jobs: 1,
    });
  });

  it("are refused forged and stale", async () => {
    const payload = event(eventId());
    const sign = (by: string, timestamp: number) =>
      Stripe.webhooks.generateTestHeaderString({ payload, secret: by, timestamp });
    const at = await now();
    for (const header of [sign("whsec_other", at), sign(stripeSecret, at - TOLERANCE_SECONDS - 5), "", "t=1,v1=zz"]) {
      const headers = { "stripe-signature": header };
      expect((await callApp(stripeApp, "POST", PATH, { headers, body: payload })).status).toBe(401);
    }
  });
});

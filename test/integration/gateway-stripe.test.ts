// The Stripe adapter, by the official client, against a local server that speaks the published API: what is asked, what is made
// of every answer, and what of answers that are lost on the way.
import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type StripeGatewayOptions, stripeGateway } from "../../persister/jobs/gateway/stripe/stripe.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { type Call, type Fault, STRIPE_KEY, startStripeServer } from "../support/stripe/server.ts";

const stripe = await startStripeServer();
afterAll(() => stripe.stop());
beforeEach(() => {
  stripe.fault = () => undefined;
  stripe.calls.length = 0;
});

const patience = () => AbortSignal.timeout(20_000);
const SUCCEEDED = { type: "succeeded", reference: expect.stringMatching(/^pi_/) };
const FACTS = { amount: 1_000, currency: "KRW" };
const request = (token = "pm_card_visa", change: { key?: string; currency?: string } = {}) => ({
  key: `${randomUUID()}:1`,
  ...FACTS,
  token,
  ...change,
});
const startedNow = () => ({ ...FACTS, startedAt: new Date(stripe.books.nowS * 1_000) });

function open(options: Partial<StripeGatewayOptions> = {}) {
  const gateway = stripeGateway({ apiKey: STRIPE_KEY, url: stripe.url, ...options });
  onTestFinished(() => gateway.close());
  return gateway;
}

const CREATE = "/payment_intents";
const CONFIRM = "/payment_intents/:id/confirm";
/** The next POST of a route meets the fault; those after it none. */
function once(route: string, fault: Fault): void {
  stripe.fault = (call: Call) => {
    if (call.method !== "POST" || call.route !== route) return undefined;
    stripe.fault = () => undefined;
    return fault;
  };
}
const moneyOf = (key: string) =>
  stripe.books.intentsOf(key).reduce((sum, { status, amount }) => sum + (status === "succeeded" ? amount : 0), 0);

test("a charge is an intent of the amount as it is, found again by its metadata, and a confirmation off session", async () => {
  const asked = request();
  expect(await open().charge(asked, patience())).toEqual(SUCCEEDED);
  const [intent] = stripe.books.intentsOf(asked.key);
  expect(stripe.calls).toEqual([
    {
      method: "POST",
      route: CREATE,
      idempotencyKey: asked.key,
      parameters: {
        amount: "1000",
        currency: "krw",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[key]": asked.key,
      },
    },
    {
      method: "POST",
      route: CONFIRM,
      idempotencyKey: `${asked.key}:confirm`,
      parameters: { payment_method: "pm_card_visa", off_session: "true" },
    },
  ]);
  expect(intent).toMatchObject({ amount: 1_000, currency: "krw", status: "succeeded" });
});

test("a token of card details is charged as such", async () => {
  expect(await open().charge(request("tok_visa"), patience())).toEqual(SUCCEEDED);
  expect(stripe.calls[1]?.parameters).toEqual({
    "payment_method_data[type]": "card",
    "payment_method_data[card][token]": "tok_visa",
    off_session: "true",
  });
});

test("a currency that Stripe counts in another unit is not charged", async () => {
  const gateway = open();
  for (const currency of ["ISK", "UGX", "MGA"]) {
    const asked = request("pm_card_visa", { currency });
    const unsupported = { type: "failed", code: "currency_unsupported", retryable: false };
    expect(await gateway.charge(asked, patience())).toEqual(unsupported);
    expect(await gateway.lookup(asked.key, patience(), { ...FACTS, currency })).toBe("none");
  }
  expect(stripe.calls).toEqual([]);
});

describe("a customer who cannot pay is declined", () => {
  test.for([
    ["pm_card_chargeDeclined", "generic_decline"],
    ["pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"],
    ["pm_card_chargeDeclinedExpiredCard", "expired_card"],
    ["pm_card_authenticationRequired", "authentication_required"],
    ["pm_nobody_has", "invalid_token"],
  ] as const)("%s: %s", async ([token, code]) => {
    const gateway = open();
    const asked = request(token);
    const declined = { type: "declined", code };
    expect(await gateway.charge(asked, patience())).toEqual(declined);
    expect(await gateway.charge(asked, patience())).toEqual(declined);
    // Of a method that is not there nothing is kept.
    expect(await gateway.lookup(asked.key, patience(), FACTS)).toEqual(code === "invalid_token" ? "none" : declined);
    expect(moneyOf(asked.key)).toBe(0);
  });

  test("who would have to act: the intent is cancelled", async () => {
    const gateway = open();
    const asked = request("pm_konbini");
    const declined = { type: "declined", code: "authentication_required" };
    expect(await gateway.charge(asked, patience())).toEqual(declined);
    expect(stripe.books.intentsOf(asked.key)).toMatchObject([{ status: "canceled" }]);
    expect(await gateway.charge(asked, patience())).toMatchObject({ type: "declined" });
    expect(await gateway.lookup(asked.key, patience(), FACTS)).toMatchObject({ type: "declined" });
  });
});

describe("a call that goes wrong on its way", () => {
  const NOW = (code: string) => ({ type: "failed", code, retryable: true });
  const UNKNOWN = (code: string) => ({ type: "unknown", code });
  test.for([
    // route, fault, what is made of it, what is found then, what the next call under the key comes to
    [CREATE, "unheard", NOW("connection_broken"), "none", SUCCEEDED],
    [CREATE, "lost", NOW("connection_broken"), "none", SUCCEEDED],
    [CREATE, "limited", NOW("rate_limit"), "none", SUCCEEDED],
    [CREATE, "failed", NOW("http_500"), "none", NOW("http_500")],
    [CREATE, "failed after", NOW("http_500"), "none", NOW("http_500")],
    [CONFIRM, "unheard", UNKNOWN("connection_broken"), "none", SUCCEEDED],
    [CONFIRM, "lost", UNKNOWN("connection_broken"), SUCCEEDED, SUCCEEDED],
    [CONFIRM, "limited", NOW("rate_limit"), "none", SUCCEEDED],
    [CONFIRM, "failed", UNKNOWN("http_500"), "none", UNKNOWN("http_500")],
    [CONFIRM, "failed after", UNKNOWN("http_500"), SUCCEEDED, SUCCEEDED],
  ] as const)("%s %s", async ([route, fault, outcome, found, next]) => {
    const gateway = open();
    const asked = request();
    once(route, fault);
    expect(await gateway.charge(asked, patience())).toEqual(outcome);
    // Neither the client nor the adapter tried again by themselves.
    expect(stripe.calls.filter((call) => call.route === route)).toHaveLength(1);
    expect(await gateway.lookup(asked.key, patience(), startedNow())).toEqual(found);
    expect(await gateway.charge(asked, patience())).toEqual(next);
    expect(moneyOf(asked.key)).toBe("type" in next && next.type !== "succeeded" ? 0 : 1_000);
    expect(stripe.books.intentsOf(asked.key).length).toBeLessThanOrEqual(1);
  });

  test("a charge that is out is found once it is made, and not made by whoever comes meanwhile", async () => {
    const gateway = open();
    const asked = request();
    const answer = Promise.withResolvers<void>();
    once(CONFIRM, answer.promise);
    const first = gateway.charge(asked, patience());
    await expect.poll(() => moneyOf(asked.key)).toBe(1_000);
    expect(await gateway.charge(asked, patience())).toEqual({ type: "unknown", code: "idempotency_key_in_use" });
    expect(await gateway.lookup(asked.key, patience(), startedNow())).toEqual(SUCCEEDED);
    answer.resolve();
    expect(await first).toEqual(SUCCEEDED);
    expect(moneyOf(asked.key)).toBe(1_000);
  });

  test("an answer that comes too late is silence", async () => {
    const gateway = open({ timeoutMs: 100 });
    const asked = request();
    const never = Promise.withResolvers<void>();
    once(CONFIRM, never.promise);
    expect(await gateway.charge(asked, patience())).toEqual({ type: "unknown", code: "timeout" });
    never.resolve();
    expect(await gateway.lookup(asked.key, patience(), startedNow())).toEqual(SUCCEEDED);
  });

  test("whoever gives up between the two calls is not charged", async () => {
    const asked = request();
    const answer = Promise.withResolvers<void>();
    once(CREATE, answer.promise);
    const giving = new AbortController();
    const outcome = open().charge(asked, giving.signal);
    await expect.poll(() => stripe.calls.length).toBe(1);
    giving.abort();
    answer.resolve();
    expect(await outcome).toEqual({ type: "unsent", code: "not_sent_in_time" });
    expect(stripe.calls).toHaveLength(1);
  });

  test("whoever gives up while others are served is not charged", async () => {
    const gateway = open({ atOnceMax: 1 });
    const answer = Promise.withResolvers<void>();
    once(CREATE, answer.promise);
    const first = gateway.charge(request(), patience());
    await expect.poll(() => stripe.calls.length).toBe(1);
    const [giving, second] = [new AbortController(), request()];
    const outcome = gateway.charge(second, giving.signal);
    giving.abort();
    answer.resolve();
    expect(await first).toEqual(SUCCEEDED);
    expect(await outcome).toEqual({ type: "unsent", code: "not_sent_in_time" });
    expect(stripe.books.intentsOf(second.key)).toEqual([]);
  });

  test.for(["<html>bad gateway</html>", "a text", null, 7, [], {}])("an answer that says nothing: %j", async (body) => {
    once(CONFIRM, { status: 200, body });
    expect(await open().charge(request(), patience())).toMatchObject({ type: "unknown" });
  });

  test("a wrong API key fails for now, and never means that there is no charge", async () => {
    const gateway = open({ apiKey: "sk_test_another" });
    const asked = request();
    expect(await gateway.charge(asked, patience())).toMatchObject({ type: "failed", retryable: true });
    expect(await gateway.lookup(asked.key, patience(), FACTS)).toMatchObject({ type: "unknown" });
    const refund = { key: randomUUID(), chargeKey: asked.key, chargeReference: "pi_1", amount: 1 };
    expect(await gateway.refund(refund, patience())).toMatchObject({ type: "failed", retryable: true });
    expect(await gateway.lookupRefund(refund.key, patience(), refund)).toMatchObject({ type: "unknown" });
  });

  test("nobody listens: Stripe has not heard of it, and is left alone after a while", async () => {
    const gateway = open({ url: `http://127.0.0.1:${await freePort()}` });
    const unsent = { type: "unsent", code: "ECONNREFUSED" };
    for (let call = 0; call < 5; call += 1) expect(await gateway.charge(request(), patience())).toEqual(unsent);
    expect(await gateway.charge(request(), patience())).toEqual({ type: "unsent", code: "circuit_open" });
    expect(await gateway.lookup("x", patience(), FACTS)).toEqual(unsent);
    const refund = { key: randomUUID(), chargeKey: "x", chargeReference: "pi_1", amount: 1 };
    expect(await gateway.refund(refund, patience())).toEqual(unsent);
    expect(await gateway.lookupRefund(refund.key, patience(), refund)).toEqual(unsent);
  });
});

describe("a look-up", () => {
  test("of what was never charged leaves an intent that is not confirmed, which the charge then takes", async () => {
    const gateway = open();
    const asked = request();
    expect(await gateway.lookup(asked.key, patience(), startedNow())).toBe("none");
    expect(stripe.books.intentsOf(asked.key)).toMatchObject([{ status: "requires_payment_method" }]);
    expect(await gateway.charge(asked, patience())).toEqual(SUCCEEDED);
    expect(stripe.books.intentsOf(asked.key)).toMatchObject([{ status: "succeeded" }]);
  });

  test("finds a charge of which Stripe has forgotten the key", async () => {
    const gateway = open();
    const [asked, facts] = [request(), startedNow()];
    const made = await gateway.charge(asked, patience());
    stripe.passADay();
    expect(await gateway.lookup(asked.key, patience(), facts)).toEqual(made);
    expect(stripe.books.intentsOf(asked.key)).toHaveLength(2);
    stripe.books.catchUp();
    expect(await gateway.lookup(asked.key, patience(), facts)).toEqual(made);
    // And of what was never charged it still says so.
    expect(await gateway.lookup(`${randomUUID()}:1`, patience(), facts)).toBe("none");
    expect(moneyOf(asked.key)).toBe(1_000);
  });

  test("by the key alone says nothing until the search has caught up", async () => {
    const gateway = open();
    const asked = request(undefined, { key: "it's a \\key:1" });
    const made = await gateway.charge(asked, patience());
    expect(await gateway.lookup(asked.key, patience())).toEqual({ type: "unknown", code: "not_found_by_search" });
    stripe.books.catchUp();
    expect(await gateway.lookup(asked.key, patience())).toEqual(made);
  });
});

describe("a refund", () => {
  async function charged(token = "pm_card_visa") {
    const gateway = open();
    const asked = request(token);
    const outcome = await gateway.charge(asked, patience());
    const chargeReference = outcome.type === "succeeded" ? outcome.reference : "";
    const refund = (amount: number) => ({ key: randomUUID(), chargeKey: asked.key, chargeReference, amount });
    const lookup = (of: ReturnType<typeof refund>) => gateway.lookupRefund(of.key, patience(), of);
    return { gateway, refund, lookup, back: () => stripe.books.refundedOf(chargeReference) };
  }
  const BACK = { type: "succeeded", reference: expect.stringMatching(/^re_/) };

  test.for([
    ["unheard", { type: "unknown", code: "connection_broken" }, "none"],
    ["lost", { type: "unknown", code: "connection_broken" }, BACK],
    ["failed after", { type: "unknown", code: "http_500" }, BACK],
    ["limited", { type: "failed", code: "rate_limit", retryable: true }, "none"],
  ] as const)("whose call goes wrong on its way is made once: %s", async ([fault, outcome, found]) => {
    const { gateway, refund, lookup, back } = await charged();
    const asked = refund(400);
    once("/refunds", fault);
    expect(await gateway.refund(asked, patience())).toEqual(outcome);
    expect(await lookup(asked)).toEqual(found);
    expect(await gateway.refund(asked, patience())).toEqual(BACK);
    expect(back()).toBe(400);
  });

  test("is found, and not made again, when Stripe has forgotten its key", async () => {
    const { gateway, refund, lookup, back } = await charged();
    const asked = refund(400);
    const made = await gateway.refund(asked, patience());
    stripe.passADay();
    expect(await lookup(asked)).toEqual(made);
    expect(await gateway.refund(asked, patience())).toEqual(made);
    expect(back()).toBe(400);
  });

  test("is found among more than a page of others", async () => {
    const { gateway, refund, lookup, back } = await charged();
    const first = refund(1);
    const made = await gateway.refund(first, patience());
    await Promise.all(Array.from({ length: 120 }, () => gateway.refund(refund(1), patience())));
    expect(await lookup(first)).toEqual(made);
    expect(await gateway.refund(first, patience())).toEqual(made);
    expect(back()).toBe(121);
  });

  test("may be pending, and is back later", async () => {
    const { gateway, refund, lookup } = await charged("pm_card_pendingRefund");
    const asked = refund(1_000);
    expect(await gateway.refund(asked, patience())).toEqual({ type: "pending", code: "pending" });
    expect(await lookup(asked)).toMatchObject({ type: "pending" });
    stripe.books.settle();
    expect(await lookup(asked)).toEqual(BACK);
  });

  test("that failed later is not there, and is made anew", async () => {
    const { gateway, refund, lookup, back } = await charged("pm_card_refundFail");
    const asked = refund(1_000);
    const made = await gateway.refund(asked, patience());
    expect(made).toEqual(BACK);
    stripe.books.settle();
    expect(await lookup(asked)).toBe("none");
    const again = await gateway.refund(asked, patience());
    expect(again).toEqual(BACK);
    expect(again).not.toEqual(made);
    expect(back()).toBe(1_000);
  });

  test("of a charge whose name is not at hand is found by the search", async () => {
    const { gateway, refund, back } = await charged();
    const { chargeReference: _unknown, ...asked } = refund(1_000);
    stripe.books.catchUp();
    expect(await gateway.refund(asked, patience())).toEqual(BACK);
    expect(await gateway.lookupRefund(asked.key, patience(), { ...asked })).toEqual(BACK);
    expect(await gateway.lookupRefund(asked.key, patience())).toMatchObject({ type: "unknown" });
    expect(back()).toBe(1_000);
  });
});

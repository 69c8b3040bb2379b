// One buyer: presses buy, asks again under the same key while the answer is lost, waits for a unit to come back when it is
// sold out, and watches an accepted order until it is at an end.
import { setTimeout as sleep } from "node:timers/promises";
import type { FlashSale } from "./flash-sale.ts";
import { type HttpAnswer, type HttpClient, member } from "./http.ts";
import { type Random, seededUuid } from "./random.ts";
import type { OrderEnd, Tally } from "./tally.ts";

/** Who a buyer is, drawn from the seed. */
export interface Buyer {
  readonly id: string;
  readonly units: number;
  readonly token: "tok_ok" | "tok_declined" | "tok_slow";
  /** Sends every request twice at once. */
  readonly doubleClicks: boolean;
  /** When the buyer presses, from the opening; negative: too early. */
  readonly pressesAfterMs: number;
  readonly random: Random;
}

/** Where and until when buyers act. */
export interface Market {
  /** To the counter: orders. */
  readonly counter: HttpClient;
  /** To the shop window: what an order or the sale is at. Connections of their own, so that looking is not queueing. */
  readonly window: HttpClient;
  readonly sale: FlashSale;
  readonly tally: Tally;
  /** How long a buyer who was told SOLD_OUT waits on average. */
  thinkMs(): number;
  readonly deadline: AbortSignal;
  /** Aborted when every unit is sold for good. */
  readonly soldForGood: AbortController;
  /** Until when it makes sense to wait: the first of the two above. */
  readonly patience: AbortSignal;
}

type Verdict =
  | { readonly type: "accepted"; readonly orderId: string }
  | { readonly type: "refused"; readonly code: string }
  | { readonly type: "again"; readonly afterMs: number };

/** A returned unit can be bought in every process within 250 ms; whoever asked later than this after it knows. */
const RETURN_VISIBLE_MS = 400;
const AGAIN_FIRST_MS = 100;
const AGAIN_MS_MAX = 1_000;
const EARLY_MS = 50;
const FOLLOW_MS = 150;
const TERMINAL: ReadonlySet<unknown> = new Set(["CONFIRMED", "CANCELLED", "REFUNDED"]);

/** Lives through the sale; resolves when the buyer has left, at the latest at the market's deadline. */
export async function visit(buyer: Buyer, market: Market): Promise<void> {
  try {
    await shop(buyer, market);
  } catch (error) {
    if (!market.patience.aborted) throw error;
  }
}

async function shop(buyer: Buyer, market: Market): Promise<void> {
  const { tally, sale, deadline, patience } = market;
  let units = buyer.units;
  let key = seededUuid(buyer.random);
  for (;;) {
    const pressedAtMs = performance.now();
    const verdict = await press(buyer, units, key, market);
    if (verdict === undefined) return;
    if (verdict.type === "accepted") {
      await follow(verdict.orderId, market);
      return;
    }
    switch (verdict.code) {
      case "SOLD_OUT":
        if (nothingComesBack(market, pressedAtMs)) return;
        tally.waiting += 1;
        await sleep(market.thinkMs() * (0.5 + buyer.random()), undefined, { signal: patience }).finally(() => {
          tally.waiting -= 1;
        });
        break;
      case "LIMIT_EXCEEDED":
        if (units <= sale.perCustomerLimit) return;
        units = sale.perCustomerLimit; // another body, so another key
        key = seededUuid(buyer.random);
        break;
      case "SALE_NOT_OPEN":
        await sleep(EARLY_MS, undefined, { signal: deadline });
        break;
      default:
        return; // counted under its code
    }
  }
}

/** Everything is sold for good, or nothing is held that could be given back since the buyer asked. */
function nothingComesBack({ tally, soldForGood }: Market, pressedAtMs: number): boolean {
  if (soldForGood.signal.aborted) return true;
  return tally.orders > 0 && tally.open === 0 && pressedAtMs > tally.lastEndAtMs + RETURN_VISIBLE_MS;
}

/** One press of the button, carried to an answer. Undefined: none came until the deadline. */
async function press(
  buyer: Buyer,
  units: number,
  key: string,
  market: Market,
): Promise<Exclude<Verdict, { type: "again" }> | undefined> {
  const { tally, deadline } = market;
  let isUnresolved = false;
  const resolve = () => {
    if (isUnresolved) tally.unresolved(-1);
  };
  for (let attempt = 0; ; attempt += 1) {
    const clicks = buyer.doubleClicks ? [ask, ask] : [ask];
    const verdicts = await Promise.all(clicks.map((click) => click(buyer, units, key, market)));
    const accepted = verdicts.filter((verdict) => verdict.type === "accepted");
    if (new Set(accepted.map((verdict) => verdict.orderId)).size > 1) tally.splitKeys += 1;
    for (const { orderId } of accepted) tally.accepted(orderId, units);
    // A refusal counts only when no click is in doubt: the other one may have been accepted.
    const final = accepted[0] ?? (verdicts.some(isAgain) ? undefined : verdicts[0]);
    if (final && final.type !== "again") {
      resolve();
      return final;
    }
    if (!isUnresolved) tally.unresolved(1);
    isUnresolved = true;
    tally.asksRepeated += 1;
    if (deadline.aborted) {
      tally.unanswered += 1;
      return undefined;
    }
    const waitMs = Math.max(...verdicts.filter(isAgain).map((verdict) => verdict.afterMs));
    const backoffMs = Math.min(AGAIN_FIRST_MS * 2 ** attempt, AGAIN_MS_MAX);
    const pauseMs = Math.max(waitMs, backoffMs * (0.5 + buyer.random()));
    await sleep(pauseMs, undefined, { signal: deadline }).catch(() => undefined);
  }
}

function isAgain(verdict: Verdict): verdict is Extract<Verdict, { type: "again" }> {
  return verdict.type === "again";
}

async function ask(buyer: Buyer, units: number, key: string, { counter, sale, tally }: Market): Promise<Verdict> {
  const sentAtMs = performance.now();
  const answer = await counter.send({
    method: "POST",
    path: "/api/v1/orders",
    headers: { "idempotency-key": key },
    body: {
      saleId: sale.id,
      customerId: buyer.id,
      items: [{ productId: sale.productId, quantity: units, price: sale.price }],
      payment: { method: "card", token: buyer.token },
    },
  });
  if (answer) tally.answered(sentAtMs, performance.now());
  const verdict = judge(answer);
  if (answer?.headers["idempotent-replayed"] === "true") tally.replayed += 1;
  if (verdict.type === "refused") tally.refused(verdict.code);
  return verdict;
}

function judge(answer: HttpAnswer | undefined): Verdict {
  if (!answer) return { type: "again", afterMs: 0 };
  const { status, body, headers } = answer;
  const orderId = member(body, "orderTrackingId");
  if (status < 300 && typeof orderId === "string") return { type: "accepted", orderId };
  // A server in trouble, or one that asks for patience: the order may stand, so the same key asks again.
  if (status < 300 || status >= 500 || status === 429) {
    const retryAfterSeconds = Number(headers["retry-after"] ?? 0);
    return { type: "again", afterMs: Math.min(retryAfterSeconds * 1_000 || 0, AGAIN_MS_MAX) };
  }
  return { type: "refused", code: String(member(body, "code") ?? `HTTP_${status}`) };
}

async function follow(orderId: string, { window, sale, tally, deadline, soldForGood }: Market): Promise<void> {
  while (!deadline.aborted) {
    const answer = await window.send({ method: "GET", path: `/api/v1/orders/${orderId}` });
    const status = answer?.status === 200 ? member(answer.body, "status") : undefined;
    if (TERMINAL.has(status)) {
      const reason = member(answer?.body, "reason");
      const end = { status, reason: typeof reason === "string" ? reason : undefined } as OrderEnd;
      tally.ended(orderId, end, performance.now());
      if (tally.confirmedUnits >= sale.units) soldForGood.abort();
      return;
    }
    await sleep(FOLLOW_MS, undefined, { signal: deadline });
  }
}

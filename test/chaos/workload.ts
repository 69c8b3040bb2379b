// The crowd of a chaos run: what each buyer wants is drawn from the seed; when answers come is the machine's affair. Orders
// come at a fixed rate whatever becomes of them, everything in doubt is asked again under the same key, and all of it ends:
// by count, by time, and by patience.
import { setTimeout as sleep } from "node:timers/promises";
import { type HttpAnswer, HttpClient, member } from "../../demo/http.ts";
import { type Random, seededRandom, seededUuid } from "../../demo/random.ts";
import type { Asked, History, Learned, Line, LogPosition } from "./history.ts";
import type { Sale } from "./shop.ts";

export interface Load {
  readonly ordersPerSecond: number;
  /** Buys for at least so long. */
  readonly forMs: number;
  /**
   * Reservations that nobody pays for: `early`, the default, so that the run need not wait for them; `always`: until the
   * end; `left`: the same, and nobody ever pays or cancels one.
   */
  readonly unpaid?: "early" | "always" | "left";
  /** Cards that are hard to charge, and which part of the orders pays by them; default: none. */
  readonly hardCards?: { readonly tokens: readonly string[]; readonly part: number };
}

export const LOAD: Load = { ordersPerSecond: 60, forMs: 4_000 };

export interface Crowd {
  /** Resolves when nobody wants anything any more. */
  readonly done: Promise<void>;
  /** The rush may end: nothing new is asked for after `afterMs`, and what is in doubt gives up some time later. */
  release(afterMs: number): void;
}

const ORDERS_MAX = 20_000;
const RUSH_MS_MAX = 300_000;
const BUYERS = 150;
const CONNECTIONS_MAX = 128;
const RETRY_FIRST_MS = 150;
const RETRY_MS_MAX = 1_000;
/** How long a buyer goes on asking about an order in doubt once the rush is over. */
const PATIENCE_MS = 15_000;
/** A refusal for the moment (503) is asked again so often: the sale may go on. */
const REFUSALS_MAX = 3;
/** Reservations that nobody pays for run out by themselves; made early only, so that the run need not wait for them. */
const UNPAID_UNTIL_MS = 2_500;

interface Wish {
  readonly buyer: string;
  readonly key: string;
  readonly items: readonly Line[];
  readonly payment: { readonly method: string; readonly token?: string } | undefined;
  readonly next: "watch" | "cancel" | "pay" | "leave";
}

export function startCrowd(apiUrl: string, sale: Sale, history: History, seed: number, load: Load): Crowd {
  const http = new HttpClient(apiUrl, CONNECTIONS_MAX);
  const random = seededRandom(seed);
  const buyers = Array.from({ length: BUYERS }, () => seededUuid(random));
  const startedAt = performance.now();
  let endsAt = startedAt + RUSH_MS_MAX;
  const run = async () => {
    const visits: Promise<void>[] = [];
    for (let n = 0; n < ORDERS_MAX; n += 1) {
      const dueIn = startedAt + (n * 1_000) / load.ordersPerSecond - performance.now();
      if (dueIn > 0) await sleep(dueIn);
      if (performance.now() >= endsAt) break;
      const wish = draw(random, buyers, sale, load, performance.now() - startedAt);
      visits.push(visit(http, history, sale, wish, seededRandom(seed ^ (n * 0x9e3779b1)), () => endsAt + PATIENCE_MS));
    }
    await Promise.all(visits);
    http.close();
  };
  const done = run();
  return {
    done,
    release: (afterMs) => {
      endsAt = Math.min(endsAt, Math.max(performance.now() + afterMs, startedAt + load.forMs));
    },
  };
}

function draw(random: Random, buyers: readonly string[], sale: Sale, load: Load, sinceMs: number): Wish {
  const { hardCards, unpaid = "early" } = load;
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
  const weights = [0, 0, 0, 1, 2, 2, 3]; // the one that is gone at once is wanted by few
  const line = (): Line => ({
    productId: sale.products[pick(weights)]?.id ?? "",
    quantity: 1 + Math.floor(random() * random() * 3),
  });
  const lines = random() < 0.3 ? 2 + Math.floor(random() * 2) : 1;
  const wish = {
    buyer: pick(buyers),
    key: seededUuid(random),
    items: Array.from({ length: lines }, line), // two lines of one product happen, and count together
  };
  if (hardCards && random() < hardCards.part) {
    return { ...wish, payment: { method: "card", token: pick(hardCards.tokens) }, next: "watch" };
  }
  const [means, after] = [random(), random()];
  if (means < 0.15 && (unpaid !== "early" || sinceMs < UNPAID_UNTIL_MS || after < 0.8)) {
    const next = unpaid === "left" ? "leave" : after < 0.45 ? "cancel" : after < 0.8 ? "pay" : "leave";
    return { ...wish, payment: { method: "later" }, next };
  }
  const token =
    means < 0.25 ? "tok_declined" : means < 0.28 ? "tok_insufficient" : means < 0.3 ? "tok_flaky" : "tok_ok";
  return {
    ...wish,
    payment: random() < 0.3 && token === "tok_ok" ? undefined : { method: "card", token },
    next: "watch",
  };
}

async function visit(
  http: HttpClient,
  history: History,
  sale: Sale,
  wish: Wish,
  random: Random,
  givesUpAt: () => number,
): Promise<void> {
  const { buyer, key, items, payment } = wish;
  const asked: Asked = {
    op: history.nextOperation(),
    operation: "place",
    buyer,
    key,
    items,
    ...(payment && { payment }),
  };
  const body = { saleId: sale.id, customerId: buyer, items, ...(payment && { payment }) };
  const orderId = await insist(history, asked, random, givesUpAt, () =>
    http.send({ method: "POST", path: "/api/v1/orders", headers: { "idempotency-key": key }, body }),
  );
  if (orderId === undefined) return;
  if (random() < 0.1) {
    // An impatient second press after the answer: the key must lead to the same order.
    await once(history, asked, 100, () =>
      http.send({ method: "POST", path: "/api/v1/orders", headers: { "idempotency-key": key }, body }),
    );
  }
  await sleep(100 + random() * 400);
  const change = (operation: "cancel" | "pay", path: string, of: unknown) =>
    insist(history, { op: history.nextOperation(), operation, buyer, orderId }, random, givesUpAt, () =>
      http.send({ method: "POST", path: `/api/v1/orders/${orderId}/${path}`, body: of }),
    );
  if (wish.next === "cancel") await change("cancel", "cancel", {});
  if (wish.next === "pay") await change("pay", "payments", { method: "card", token: "tok_ok" });
  if (random() < 0.25) {
    await once(history, { op: history.nextOperation(), operation: "read", buyer, orderId }, 1, () =>
      http.send({ method: "GET", path: `/api/v1/orders/${orderId}` }),
    );
  }
}

/** Asks until there is an end, or patience is over. @returns the order's id when it happened */
async function insist(
  history: History,
  asked: Asked,
  random: Random,
  givesUpAt: () => number,
  send: () => Promise<HttpAnswer | undefined>,
): Promise<string | undefined> {
  let refusals = 0;
  for (let attempt = 1; ; attempt += 1) {
    const end = await once(history, asked, attempt, send);
    if (end.type === "ok") return end.orderId;
    if (end.type === "fail" && (!end.isPassing || ++refusals >= REFUSALS_MAX)) return undefined;
    if (performance.now() > givesUpAt()) return undefined;
    const backoffMs = Math.min(RETRY_FIRST_MS * 2 ** (attempt - 1), RETRY_MS_MAX);
    await sleep(backoffMs * (0.5 + random()));
  }
}

interface End {
  readonly type: "ok" | "fail" | "info";
  readonly orderId: string | undefined;
  /** A refusal that says "not now". */
  readonly isPassing: boolean;
}

async function once(
  history: History,
  asked: Asked,
  attempt: number,
  send: () => Promise<HttpAnswer | undefined>,
): Promise<End> {
  history.invoke(asked, attempt);
  const answer = await send();
  const learned = learnedFrom(answer);
  const type = endOf(answer, learned.code);
  history.end(type, asked, attempt, learned);
  return { type, orderId: learned.orderId, isPassing: answer?.status === 503 };
}

function endOf(answer: HttpAnswer | undefined, code: string | undefined): "ok" | "fail" | "info" {
  if (!answer || answer.status === 0) return "info";
  if (answer.status < 300) return member(answer.body, "orderTrackingId") === undefined ? "info" : "ok";
  if (answer.status < 500) return "fail";
  return code === "STOCK_UNAVAILABLE" || code === "OVERLOADED" ? "fail" : "info";
}

function learnedFrom(answer: HttpAnswer | undefined): Learned {
  if (!answer) return {};
  const { body, headers, status } = answer;
  const text = (name: string) => {
    const value = member(body, name);
    return typeof value === "string" ? value : undefined;
  };
  const [orderId, orderStatus, version] = [text("orderTrackingId"), text("status"), member(body, "version")];
  const code = status >= 300 ? text("code") : undefined;
  const position = positionIn(text("receipt"));
  return {
    status,
    ...(code !== undefined && { code }),
    ...(orderId !== undefined && { orderId }),
    ...(status < 300 && orderStatus !== undefined && { orderStatus }),
    ...(typeof version === "number" && { version }),
    ...(headers["idempotent-replayed"] === "true" && { replayed: true }),
    ...(position && { position }),
  };
}

/** `r2.<order>.<sale>.<partition>.<epoch>.<seq>...`; that it is genuine is another test's affair. */
function positionIn(receipt: string | undefined): LogPosition | undefined {
  const [, , , partition, epoch, seq] = (receipt ?? "").split(".").map(Number);
  if (partition === undefined || epoch === undefined || seq === undefined) return undefined;
  return { partition, epoch, seq };
}

// The simulated payment provider, whether it is asked over HTTP (app.ts) or within the worker's process (../simulated.ts). It
// behaves as real ones do: a key is charged once, and what it answered finally it answers again. It answers what is
// committed in its books, so that being killed at any moment neither forgets a charge nor makes it twice.
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Batcher } from "../../../../engine/admission/batcher.ts";
import type { Logger } from "../../../../engine/log.ts";
import type { RefundRequest } from "../gateway.ts";
import { startRounds } from "../rounds.ts";
import {
  bookCharges,
  type Charge,
  type ChargeParameters,
  decideCharges,
  findCharge,
  isSameCharge,
  type LedgerCharge,
  pageOfLedger,
} from "./charges.ts";
import { type Mode, setChargeMode, setRefundMode } from "./modes.ts";
import { bookRefund, findRefund, type Refund, type RefundAnswer } from "./refunds.ts";
import { answersAtOnce } from "./tokens.ts";
import { startDeliveries, type WebhookTarget } from "./webhooks.ts";

/** `key_reused`: the key stands for a charge with other parameters. Neither moved money by this call. */
export type ChargeAnswer = { readonly type: "booked"; readonly charge: Charge } | { readonly type: "key_reused" };

export interface Provider {
  /** Takes as long as its token takes; for some, until `signal` ends it with a rejection. */
  charge(asked: ChargeParameters, signal: AbortSignal): Promise<ChargeAnswer>;
  /** `pending`: its token takes its time, and nothing was done about it; to be asked for by {@link charge}. */
  chargeAtOnce(asked: ChargeParameters): Promise<ChargeAnswer | { readonly type: "pending" }>;
  findCharge(key: string): Promise<Charge | undefined>;
  refund(asked: RefundRequest): Promise<RefundAnswer>;
  findRefund(key: string): Promise<Refund | undefined>;
  setChargeMode(mode: Mode): Promise<void>;
  setRefundMode(mode: Mode): Promise<void>;
  /** @see pageOfLedger */
  ledger(afterKey: string, limit: number): Promise<LedgerCharge[]>;
  /** Rejects while the books cannot be reached. */
  check(): Promise<void>;
  /** Ends its own rounds and the pool. */
  close(): Promise<void>;
}

export interface ProviderOptions {
  /** How long `tok_slow` takes. */
  readonly slowMs: number;
  /** How long `tok_pending` is processed until it succeeds. */
  readonly pendingMs: number;
  /** How long the answer to a charge or a refund takes, after it was booked: this, and up to as much again as the jitter. */
  readonly latencyMs: number;
  readonly latencyJitterMs: number;
  /** Where ends are told; nowhere without it. */
  readonly webhooks?: WebhookTarget | undefined;
  readonly random: () => number;
  readonly log?: Logger;
}

const DEFAULTS: ProviderOptions = {
  slowMs: 2_000,
  pendingMs: 3_000,
  latencyMs: 0,
  latencyJitterMs: 0,
  random: Math.random,
};

const CHARGES_PER_STATEMENT_MAX = 512;
/** Two: while one commits the next is being sent. More only make the statements smaller. */
const STATEMENTS_IN_FLIGHT_MAX = 2;
const WAITING_MAX = 10_000;
/** What another process, or this one before it was killed, has left to be decided is looked for this often. */
const DECIDE_EVERY_MS = 1_000;
const DECISIONS_PER_STATEMENT_MAX = 1_000;

/** Opens the provider over a pool of its own; `close` ends that pool. */
export function openProvider(pool: pg.Pool, options: Partial<ProviderOptions> = {}): Provider {
  const { slowMs, pendingMs, latencyMs, latencyJitterMs, webhooks, random, log } = { ...DEFAULTS, ...options };
  const tells = webhooks !== undefined;
  const deliveries = webhooks && startDeliveries(pool, webhooks, log);
  const bookings = new Batcher<ChargeParameters, Charge>({
    execute: (asked) => bookCharges(pool, asked, { processingMs: pendingMs, tells }),
    weightOf: () => 1,
    itemsMax: CHARGES_PER_STATEMENT_MAX,
    weightMax: CHARGES_PER_STATEMENT_MAX,
    inFlightMax: STATEMENTS_IN_FLIGHT_MAX,
    waitingMax: WAITING_MAX,
  });
  const decide = async () => {
    const decided = await decideCharges(pool, DECISIONS_PER_STATEMENT_MAX, tells);
    if (decided > 0) deliveries?.wake(0);
    return decided < DECISIONS_PER_STATEMENT_MAX ? DECIDE_EVERY_MS : 0;
  };
  const decisions = startRounds("charges in processing", decide, log);
  const latency = async (signal?: AbortSignal) => {
    if (latencyMs + latencyJitterMs > 0) await sleep(latencyMs + random() * latencyJitterMs, undefined, { signal });
  };
  const book = async (asked: ChargeParameters, signal?: AbortSignal): Promise<ChargeAnswer> => {
    const charge = await bookings.submit(asked);
    if (charge.state === "processing") decisions.wake(pendingMs);
    else deliveries?.wake(0);
    await latency(signal);
    return isSameCharge(charge, asked) ? { type: "booked", charge } : { type: "key_reused" };
  };
  return {
    async charge(asked, signal) {
      if (asked.token === "tok_slow") await sleep(slowMs, undefined, { signal });
      const answer = await book(asked, signal);
      return asked.token === "tok_timeout" ? await silence(signal) : answer;
    },
    chargeAtOnce: (asked) => (answersAtOnce(asked.token) ? book(asked) : Promise.resolve({ type: "pending" })),
    findCharge: (key) => findCharge(pool, key),
    async refund(asked) {
      const answer = await bookRefund(pool, asked, tells);
      deliveries?.wake(0);
      await latency();
      return answer;
    },
    findRefund: (key) => findRefund(pool, key),
    setChargeMode: (mode) => setChargeMode(pool, mode),
    setRefundMode: (mode) => setRefundMode(pool, mode),
    ledger: (afterKey, limit) => pageOfLedger(pool, afterKey, limit),
    async check() {
      await pool.query("SELECT 1");
    },
    async close() {
      await Promise.all([decisions.stop(), deliveries?.stop()]);
      await pool.end();
    },
  };
}

/** Never answers: the caller gives up first. */
function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

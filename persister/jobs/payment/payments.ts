// Takes the payments of orders. A job only names orders; what is due is read from their rows, in this order:
//
//   1. one statement moves what is due to PAYING and writes the attempts, each under a lease, before anything is charged
//   2. each attempt talks to the gateway by itself (attempt.ts)
//   3. outcomes are recorded as they come, those that come together in one statement, which picks the orders' fates
//   4. after that commit the stock of what ended is moved in Redis
//
// Nobody waits for a slow neighbour: an outcome is recorded when it is known. A payment that outlasts its job's patience
// goes on in this process while the job is over; if the process dies, the attempt's lease ends (at once, when the worker
// starts again on the same machine) and a sweep sends it a job of its own. A process dying at any point leaves an open attempt, never a charge that nobody asks about.
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Batcher } from "../../../engine/admission/batcher.ts";
import { transaction } from "../../../engine/ledger/database.ts";
import type { MovedOrder } from "../../../engine/ledger/fates.ts";
import {
  type AttemptMethod,
  type EndedAttempt,
  endAttempts,
  freeAttempts,
  listAttemptHolders,
  type PostponedAttempt,
  postponeAttempts,
  startPayments,
  type TakenAttempt,
  takeOverAttempts,
} from "../../../engine/ledger/payments.ts";
import type { Logger } from "../../../engine/log.ts";
import { holderName, isGone } from "../../../engine/process-identity.ts";
import type { PaymentGateway } from "../gateway/gateway.ts";
import { ATTEMPT_TIMING, type AttemptResult, type AttemptTiming, CALLS_MAX, carryOut, leaseOf } from "./attempt.ts";

export interface PaymentTiming extends AttemptTiming {
  /** How long a job waits for its payments before the slow ones go on without it. */
  readonly jobPatienceMs: number;
}

export const PAYMENT_TIMING: PaymentTiming = { ...ATTEMPT_TIMING, jobPatienceMs: 500 };

export interface PaymentDependencies {
  readonly pool: pg.Pool;
  /** Who takes payments by this method. */
  readonly gatewayOf: (method: AttemptMethod) => PaymentGateway;
  /** Now, by Redis `TIME`. */
  readonly nowMs: () => Promise<number>;
  /** Hears of orders right after the commit that moved them. May not reject. */
  readonly onMoved: (orders: readonly MovedOrder[]) => Promise<unknown>;
  readonly log: Logger;
  readonly timing?: Partial<PaymentTiming>;
}

/** Payments that may be out in one process; a job that finds no room waits. */
const IN_FLIGHT_MAX = 2_000;
const OUTCOMES_PER_STATEMENT_MAX = 512;
const RECORDINGS_IN_FLIGHT_MAX = 2;

interface Outcome {
  readonly attempt: TakenAttempt;
  readonly result: AttemptResult;
}

export class Payments {
  readonly #deps: PaymentDependencies;
  readonly #timing: PaymentTiming;
  readonly #name = holderName();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #recorder: Batcher<Outcome, undefined>;

  constructor(deps: PaymentDependencies) {
    this.#deps = deps;
    this.#timing = { ...PAYMENT_TIMING, ...deps.timing };
    this.#recorder = new Batcher({
      execute: (outcomes) => this.#record(outcomes),
      weightOf: () => 1,
      itemsMax: OUTCOMES_PER_STATEMENT_MAX,
      weightMax: OUTCOMES_PER_STATEMENT_MAX,
      inFlightMax: RECORDINGS_IN_FLIGHT_MAX,
      waitingMax: IN_FLIGHT_MAX * 2,
    });
  }

  /**
   * Takes what is due among the orders' payments; orders with nothing due are passed over. Resolves when all are recorded
   * or the job's patience is over. @throws when Postgres cannot be reached before anything was charged
   */
  async take(orderIds: readonly string[]): Promise<void> {
    while (this.#inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
    const attempts = await this.#claim([...new Set(orderIds)]);
    if (attempts.length === 0) return;
    const payments = attempts.map((attempt) => this.#track(this.#pay(attempt)));
    await this.#patiently(Promise.all(payments), this.#timing.jobPatienceMs);
  }

  /** Takes the leases from processes of this machine that are gone; a sweep sends their payments jobs at once. */
  async freeAbandoned(): Promise<void> {
    const { pool, log } = this.#deps;
    const gone = (await listAttemptHolders(pool)).filter(isGone);
    const freed = gone.length > 0 ? await freeAttempts(pool, gone, CALLS_MAX) : 0;
    if (freed > 0) log.info({ freed }, "payments of a worker that is gone are taken over");
  }

  /** Waits for payments that go on without their job, at most `timeoutMs`. The rest is left to its leases. */
  async drain(timeoutMs: number): Promise<void> {
    await this.#patiently(Promise.all(this.#inFlight), timeoutMs);
  }

  async #claim(orderIds: readonly string[]): Promise<TakenAttempt[]> {
    const { pool } = this.#deps;
    const leaseMs = leaseOf(this.#timing);
    const started = await transaction(pool, (client) => startPayments(client, orderIds, leaseMs, this.#name));
    // Not awaited: the gateway need not wait until everybody has heard.
    if (started.length > 0) void this.#deps.onMoved(started);
    if (started.length === orderIds.length) return started;
    const startedIds = new Set(started.map(({ id }) => id));
    const others = orderIds.filter((id) => !startedIds.has(id));
    const takenOver = await takeOverAttempts(pool, others, leaseMs, this.#name);
    if (takenOver.length > 0) this.#deps.log.info({ orders: takenOver.map(({ id }) => id) }, "payments taken over");
    return [...started, ...takenOver];
  }

  async #pay(attempt: TakenAttempt): Promise<void> {
    const { gatewayOf, nowMs, log } = this.#deps;
    const result = await carryOut(gatewayOf(attempt.method), attempt, this.#timing, nowMs);
    try {
      await this.#recorder.submit({ attempt, result });
    } catch (error) {
      // The attempt stays open; whoever takes it over hears the same outcome from the gateway.
      log.error({ err: error, order: attempt.id, outcome: result.state }, "a payment's outcome could not be recorded");
    }
  }

  async #record(outcomes: readonly Outcome[]): Promise<undefined[]> {
    const { pool, log, onMoved } = this.#deps;
    const ended: EndedAttempt[] = [];
    const postponed: PostponedAttempt[] = [];
    for (const { attempt, result } of outcomes) {
      const of = { orderId: attempt.id, attempt: attempt.attempt };
      if (result.state === "open") postponed.push({ ...of, ...result });
      else ended.push({ ...of, ...result });
      if (result.state !== "succeeded") {
        log.info({ order: of.orderId, attempt: of.attempt, outcome: result.state, code: result.code }, "not paid");
      }
    }
    const moved = await transaction(pool, async (client) => {
      const orders = await endAttempts(client, ended);
      await postponeAttempts(client, postponed);
      return orders;
    });
    await onMoved(moved);
    return outcomes.map(() => undefined);
  }

  #track(payment: Promise<void>): Promise<void> {
    this.#inFlight.add(payment);
    return payment.finally(() => this.#inFlight.delete(payment));
  }

  async #patiently(work: Promise<unknown>, patienceMs: number): Promise<void> {
    const over = new AbortController();
    const patience = sleep(patienceMs, undefined, { signal: over.signal }).catch(() => undefined);
    try {
      await Promise.race([work, patience]);
    } finally {
      over.abort();
    }
  }
}

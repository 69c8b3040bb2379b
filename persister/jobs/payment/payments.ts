// Takes the payments of orders. A job only names orders; what is due is read from their rows, in this order:
//
//   1. one statement moves what is due to PAYING and writes the attempts, each under a lease, before anything is charged
//   2. each attempt talks to the gateway by itself (attempt.ts)
//   3. outcomes are recorded as they come, those that come together in one statement, which picks the orders' fates
//   4. after that commit the stock of what ended is moved in Redis
//
// An outcome for which its order does not wait (cancelled meanwhile, expired while the provider had not decided) ends its
// attempt alone; a success among them is kept, and a sweep decides about it (sweeps/late-payments.ts).
//
// Nobody waits for a slow neighbour: an outcome is recorded when it is known. A payment that outlasts its job's patience
// goes on in this process while the job is over; if the process dies, the attempt's lease ends (at once, when the worker
// starts again on the same machine) and a sweep sends it a job of its own. A process dying at any point leaves an open attempt, never a charge that nobody asks about.
import type pg from "pg";
import { Batcher } from "../../../engine/admission/batcher.ts";
import type { PaymentGatewayName } from "../../../engine/config.ts";
import { transaction } from "../../../engine/ledger/database.ts";
import type { MovedOrder } from "../../../engine/ledger/fates.ts";
import {
  endLateAttempts,
  expirePending,
  findAttempts,
  type KnownAttempt,
} from "../../../engine/ledger/late-payments.ts";
import {
  type AttemptKey,
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
import { InFlight, patiently } from "../in-flight.ts";
import {
  ATTEMPT_TIMING,
  type AttemptResult,
  type AttemptTiming,
  askAbout,
  CALLS_MAX,
  carryOut,
  endOf,
  isGivenUp,
  leaseOf,
} from "./attempt.ts";

export interface PaymentTiming extends AttemptTiming {
  /** How long a job waits for its payments before the slow ones go on without it. */
  readonly jobPatienceMs: number;
}

export const PAYMENT_TIMING: PaymentTiming = { ...ATTEMPT_TIMING, jobPatienceMs: 500 };

export interface PaymentDependencies {
  readonly pool: pg.Pool;
  /** Who takes payments by this method; `provider`: where the attempt was begun. */
  readonly gatewayOf: (method: AttemptMethod, provider: PaymentGatewayName | null) => PaymentGateway;
  /** Where payments by card begin now; without it nothing is noted. */
  readonly cardProvider?: () => PaymentGatewayName | null;
  /** Now, by Redis `TIME`. */
  readonly nowMs: () => Promise<number>;
  /** Hears of orders right after the commit that moved them. May not reject. */
  readonly onMoved: (orders: readonly MovedOrder[]) => Promise<unknown>;
  readonly log: Logger;
  readonly timing?: Partial<PaymentTiming>;
  readonly random?: () => number;
}

/** Payments that may be out in one process; a job that finds no room waits. */
const IN_FLIGHT_MAX = 2_000;
const OUTCOMES_PER_STATEMENT_MAX = 512;
const RECORDINGS_IN_FLIGHT_MAX = 2;
const LOOKUPS_IN_FLIGHT_MAX = 32;

interface Outcome extends AttemptKey {
  readonly result: AttemptResult;
}

export class Payments {
  readonly #deps: PaymentDependencies;
  readonly #name = holderName();
  #timing: PaymentTiming;
  readonly #inFlight = new InFlight(IN_FLIGHT_MAX);
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

  /** Begun and not ended. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /**
   * Takes what is due among the orders' payments; orders with nothing due are passed over. Resolves when all are recorded
   * or the job's patience is over. @throws when Postgres cannot be reached before anything was charged
   */
  async take(orderIds: readonly string[]): Promise<void> {
    await this.#inFlight.room();
    // One for all of it: what is leased for so long takes no longer.
    const timing = this.#timing;
    const attempts = await this.#claim([...new Set(orderIds)], timing);
    if (attempts.length === 0) return;
    const payments = attempts.map((attempt) => this.#inFlight.track(this.#pay(attempt, timing)));
    await patiently(Promise.all(payments), timing.jobPatienceMs);
  }

  /**
   * Asks the gateway about attempts by their keys, `orderId:attempt`, whatever they have come to, and records what it has
   * decided. An open one is not charged by this and keeps its delay; one that has succeeded is not asked about; keys that
   * are none are passed over. @throws when some could not be asked about or recorded, after recording the others
   */
  async recheck(keys: readonly string[]): Promise<void> {
    const found = await findAttempts(this.#deps.pool, keys.flatMap(keyOf));
    const asked = found.filter(({ state, amount }) => state !== "succeeded" && amount > 0);
    const unanswered: string[] = [];
    for (let from = 0; from < asked.length; from += LOOKUPS_IN_FLIGHT_MAX) {
      const chunk = asked.slice(from, from + LOOKUPS_IN_FLIGHT_MAX);
      await this.#inFlight.track(
        Promise.all(
          chunk.map(async (attempt) => {
            if (!(await this.#recheckOne(attempt))) unanswered.push(`${attempt.orderId}:${attempt.attempt}`);
          }),
        ).then(() => undefined),
      );
    }
    if (unanswered.length > 0) throw new Error(`nothing was learnt about ${unanswered.slice(0, 10).join(", ")}`);
  }

  /** Waits so long for the answer to a charge, of payments that are taken from now on. */
  waitForCharges(chargeTimeoutMs: number): void {
    this.#timing = { ...this.#timing, chargeTimeoutMs };
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
    await this.#inFlight.drain(timeoutMs);
  }

  async #claim(orderIds: readonly string[], timing: PaymentTiming): Promise<TakenAttempt[]> {
    const { pool, cardProvider } = this.#deps;
    const leaseMs = leaseOf(timing);
    const provider = cardProvider?.() ?? null;
    const started = await transaction(pool, (client) => startPayments(client, orderIds, leaseMs, this.#name, provider));
    // Not awaited: the gateway need not wait until everybody has heard.
    if (started.length > 0) void this.#deps.onMoved(started);
    if (started.length === orderIds.length) return started;
    const startedIds = new Set(started.map(({ id }) => id));
    const others = orderIds.filter((id) => !startedIds.has(id));
    const takenOver = await takeOverAttempts(pool, others, leaseMs, this.#name);
    if (takenOver.length > 0) this.#deps.log.debug({ orders: takenOver.map(({ id }) => id) }, "payments taken over");
    return [...started, ...takenOver];
  }

  async #pay(attempt: TakenAttempt, timing: PaymentTiming): Promise<void> {
    const { gatewayOf, nowMs, random = Math.random, log } = this.#deps;
    const gateway = gatewayOf(attempt.method, attempt.provider ?? null);
    const result = await carryOut(gateway, attempt, { timing, nowMs, random });
    try {
      await this.#recorder.submit({ orderId: attempt.id, attempt: attempt.attempt, result });
    } catch (error) {
      // The attempt stays open; whoever takes it over hears the same outcome from the gateway.
      log.error({ err: error, order: attempt.id, outcome: result.state }, "a payment's outcome could not be recorded");
    }
  }

  /** Never rejects. @returns whether the gateway answered and what it said is recorded */
  async #recheckOne(known: KnownAttempt): Promise<boolean> {
    const { orderId, attempt, method, provider } = known;
    const gateway = this.#deps.gatewayOf(method, provider);
    const found = await askAbout(gateway, `${orderId}:${attempt}`, known, this.#timing);
    if (found === "none") return true;
    const result = endOf(found);
    // A closed attempt has had its refusal; an open one without an end has its delay.
    if (result && (known.state === "started" || result.state === "succeeded")) {
      try {
        await this.#recorder.submit({ orderId, attempt, result });
      } catch (error) {
        this.#deps.log.error({ err: error, order: orderId }, "a payment's outcome could not be recorded");
        return false;
      }
    }
    return found.type !== "unsent" && found.type !== "unknown";
  }

  async #record(outcomes: readonly Outcome[]): Promise<undefined[]> {
    const { pool, log, onMoved } = this.#deps;
    const ended: EndedAttempt[] = [];
    const postponed: PostponedAttempt[] = [];
    const overdue: AttemptKey[] = [];
    for (const { orderId, attempt, result } of outcomes) {
      const of = { orderId, attempt };
      if ("delayMs" in result) postponed.push({ ...of, ...result });
      else ended.push({ ...of, ...result });
      if (result.state === "overdue") overdue.push(of);
      if (result.state !== "succeeded") {
        const about = { order: orderId, attempt, outcome: result.state, code: result.code };
        // A charge that is pending for long is looked up many times.
        if (result.state === "open") log.debug(about, "not paid yet");
        else if (isGivenUp(result))
          log.error({ ...about, alarm: "charge_given_up" }, "a charge's outcome was never learnt");
        else log.info(about, "not paid");
      }
    }
    const { moved, late } = await transaction(pool, async (client) => {
      const orders = await endAttempts(client, ended);
      // Rare: only where an order did not wait for what came.
      const late = orders.length < ended.length ? await endLateAttempts(client, ended) : [];
      const expired = await expirePending(client, overdue);
      await postponeAttempts(client, postponed);
      return { moved: [...orders, ...expired], late };
    });
    for (const { orderId, attempt, state, claim } of late) {
      if (claim) log.warn({ order: orderId, attempt, claim }, "paid too late: revived or refunded next");
      else log.info({ order: orderId, attempt, state }, "a payment that no order waited for has ended");
    }
    await onMoved(moved);
    return outcomes.map(() => undefined);
  }
}

function keyOf(key: string): AttemptKey[] {
  const [, orderId, attempt] = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(\d{1,9})$/.exec(key) ?? [];
  return orderId && attempt ? [{ orderId, attempt: Number(attempt) }] : [];
}

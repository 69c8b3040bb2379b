// Gives money back. A job only names orders; what is due of their refunds is read from the rows, in this order:
//
//   1. one statement takes what is due under a lease, before the gateway is asked
//   2. each refund talks to the gateway of its payment's method by itself (give-back.ts)
//   3. outcomes are recorded as they come, those that come together in one transaction, with the orders' next steps
//   4. after that commit the units of what is back are returned (returns.ts)
//
// A process dying at any point leaves an open refund under its one key. Its lease ends (at once, when the worker starts again on
// the same machine), a sweep sends it a job, and whoever takes it asks the gateway first what it has under the key.
import type pg from "pg";
import { Batcher } from "../../../engine/admission/batcher.ts";
import type { PaymentGatewayName } from "../../../engine/config.ts";
import { transaction } from "../../../engine/ledger/database.ts";
import type { MovedOrder } from "../../../engine/ledger/fates.ts";
import type { AttemptMethod } from "../../../engine/ledger/payments.ts";
import {
  failRefunds,
  findOpenRefunds,
  freeRefunds,
  listRefundHolders,
  postponeRefunds,
  succeedRefunds,
  type TakenRefund,
  takeRefunds,
} from "../../../engine/ledger/refund-work.ts";
import type { Logger } from "../../../engine/log.ts";
import { holderName, isGone } from "../../../engine/process-identity.ts";
import type { RefundGateway } from "../gateway/gateway.ts";
import { InFlight, patiently } from "../in-flight.ts";
import {
  findGivenBack,
  GIVE_BACK_TIMING,
  type GiveBackResult,
  type GiveBackTiming,
  giveBack,
  leaseOf,
  requestOf,
} from "./give-back.ts";

export interface RefundTiming extends GiveBackTiming {
  /** How long a job waits for its refunds before the slow ones go on without it. */
  readonly jobPatienceMs: number;
}

export const REFUND_TIMING: RefundTiming = { ...GIVE_BACK_TIMING, jobPatienceMs: 500 };

export interface RefundDependencies {
  readonly pool: pg.Pool;
  /** Who gives back what was paid by this method; `provider`: where a card was charged. */
  readonly gatewayOf: (method: AttemptMethod, provider: PaymentGatewayName | null) => RefundGateway;
  /** Hears of orders right after the commit that moved them. May not reject. */
  readonly onMoved: (orders: readonly MovedOrder[]) => Promise<unknown>;
  /** Hears of refunds whose money is back, after that commit: their units are due. May not reject. */
  readonly onGivenBack: (refundIds: readonly string[]) => Promise<unknown>;
  readonly log: Logger;
  readonly timing?: Partial<RefundTiming>;
}

/** Refunds that may be out in one process; a job that finds no room waits. */
const IN_FLIGHT_MAX = 500;
const OUTCOMES_PER_TRANSACTION_MAX = 256;
const RECORDINGS_IN_FLIGHT_MAX = 2;
/** Unanswered so often, a refund is worth an operator's look. */
const CALLS_TOLD = 10;

interface Outcome {
  readonly refund: Pick<TakenRefund, "id" | "orderId" | "amount" | "currency" | "calls">;
  readonly result: GiveBackResult;
}

export class Refunds {
  readonly #deps: RefundDependencies;
  readonly #timing: RefundTiming;
  readonly #name = holderName();
  readonly #inFlight = new InFlight(IN_FLIGHT_MAX);
  readonly #recorder: Batcher<Outcome, undefined>;

  constructor(deps: RefundDependencies) {
    this.#deps = deps;
    this.#timing = { ...REFUND_TIMING, ...deps.timing };
    this.#recorder = new Batcher({
      execute: (outcomes) => this.#record(outcomes),
      weightOf: () => 1,
      itemsMax: OUTCOMES_PER_TRANSACTION_MAX,
      weightMax: OUTCOMES_PER_TRANSACTION_MAX,
      inFlightMax: RECORDINGS_IN_FLIGHT_MAX,
      waitingMax: IN_FLIGHT_MAX * 2,
    });
  }

  /** Begun and not ended. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /**
   * Gives back what is due of the orders' refunds; orders with nothing due are passed over. Resolves when all are recorded or
   * the job's patience is over. @throws when Postgres cannot be reached before the gateway was asked
   */
  async take(orderIds: readonly string[]): Promise<void> {
    await this.#inFlight.room();
    const taken = await takeRefunds(this.#deps.pool, [...new Set(orderIds)], leaseOf(this.#timing), this.#name);
    if (taken.length === 0) return;
    const refunds = taken.map((refund) => this.#inFlight.track(this.#giveBack(refund)));
    await patiently(Promise.all(refunds), this.#timing.jobPatienceMs);
  }

  /**
   * Asks the gateway what it has under these keys, and records the money that is back, also of a refund whose tries have ended.
   * Moves none. @throws when Postgres cannot be reached
   */
  async recheck(refundIds: readonly string[]): Promise<void> {
    const { pool, gatewayOf } = this.#deps;
    const open = await findOpenRefunds(pool, refundIds);
    const asked = open.map(async (refund) => {
      const gateway = gatewayOf(refund.method, refund.provider ?? null);
      const found = await findGivenBack(gateway, requestOf(refund), this.#timing);
      if (found === "none" || found.type !== "succeeded") return;
      await this.#recorder.submit({ refund, result: { state: "succeeded", reference: found.reference } });
    });
    await Promise.all(asked);
  }

  /** Takes the leases from processes of this machine that are gone; a sweep sends their refunds jobs at once. */
  async freeAbandoned(): Promise<void> {
    const { pool, log } = this.#deps;
    const gone = (await listRefundHolders(pool)).filter(isGone);
    const freed = gone.length > 0 ? await freeRefunds(pool, gone) : 0;
    if (freed > 0) log.info({ freed }, "refunds of a worker that is gone are taken over");
  }

  /** Waits for refunds that go on without their job, at most `timeoutMs`. The rest is left to its leases. */
  async drain(timeoutMs: number): Promise<void> {
    await this.#inFlight.drain(timeoutMs);
  }

  async #giveBack(refund: TakenRefund): Promise<void> {
    const { gatewayOf, log } = this.#deps;
    const gateway = gatewayOf(refund.method, refund.provider ?? null);
    const result = await giveBack(gateway, refund, this.#timing);
    try {
      await this.#recorder.submit({ refund, result });
    } catch (error) {
      // The refund stays open; whoever takes it over hears the same outcome from the gateway.
      log.error({ err: error, refund: refund.id, outcome: result.state }, "a refund's outcome could not be recorded");
    }
  }

  async #record(outcomes: readonly Outcome[]): Promise<undefined[]> {
    const { pool, log, onMoved, onGivenBack } = this.#deps;
    const given = outcomes.flatMap(({ refund: { id, orderId }, result }) =>
      result.state === "succeeded" ? [{ id, orderId, reference: result.reference }] : [],
    );
    const failed = outcomes.flatMap(({ refund: { id, calls }, result }) =>
      result.state === "failed" ? [{ id, calls, code: result.code }] : [],
    );
    const postponed = outcomes.flatMap(({ refund: { id, calls }, result }) =>
      result.state === "open" ? [{ id, calls, ...result }] : [],
    );
    const { moved, buried } = await transaction(pool, async (client) => {
      const orders = await succeedRefunds(client, given);
      const letters = await failRefunds(client, failed);
      await postponeRefunds(client, postponed);
      return { moved: orders, buried: letters };
    });
    for (const { refund, result } of outcomes) this.#tell(refund, result);
    for (const letter of buried) {
      log.error({ ...letter, alarm: "refund_failed" }, "a refund failed: the money is owed until a replay succeeds");
    }
    await Promise.all([onMoved(moved), onGivenBack(given.map(({ id }) => id))]);
    return outcomes.map(() => undefined);
  }

  #tell({ id, orderId, calls }: Outcome["refund"], result: GiveBackResult): void {
    if (result.state !== "open") return;
    const about = { refund: id, order: orderId, calls, code: result.code };
    if (!result.counted && calls >= CALLS_TOLD) {
      this.#deps.log.error({ ...about, alarm: "refund_unanswered" }, "whether a refund was made is still unknown");
    } else {
      this.#deps.log.info(about, "not refunded yet");
    }
  }
}

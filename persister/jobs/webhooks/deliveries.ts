// Sends endpoints what they are owed. A job wakes an endpoint's lane and is done: lanes go on by themselves and share nothing
// but a pool of their own, so that one endpoint that hangs holds up no queue, no payment and no other endpoint.
//
// A lane goes in rounds: it takes what is due, sends all of it at once, and writes down what came of it. Of an endpoint that
// takes nothing of a round nothing is tried for a while, then another round, so that a backlog does not knock at a dead door
// all day; the first delivery that is taken lets everything go. What a killed worker had taken is due again when the next one starts on the
// same machine, or after its lease.
import type pg from "pg";
import { recordAudit } from "../../../engine/ledger/audit.ts";
import { transaction } from "../../../engine/ledger/database.ts";
import { representOrderAt } from "../../../engine/ledger/order-view.ts";
import { findOrders, type OrderWithLines } from "../../../engine/ledger/orders.ts";
import type { Logger } from "../../../engine/log.ts";
import { holderName, isGone } from "../../../engine/process-identity.ts";
import {
  type DueDelivery,
  freeDeliveries,
  hastenRetries,
  listDeliveryHolders,
  type RetryTiming,
  recordTries,
  type TryOutcome,
  takeDue,
} from "../../../engine/webhooks/deliveries.ts";
import {
  disableFailing,
  findTarget,
  type HoldTiming,
  noteFailed,
  noteTaken,
  type SendTarget,
} from "../../../engine/webhooks/endpoints.ts";
import { PING } from "../../../engine/webhooks/event-types.ts";
import { subjectOf } from "../../../engine/webhooks/operations.ts";
import { signWebhook } from "../../../engine/webhooks/signature.ts";
import type { Sender } from "./sender.ts";

export interface DeliveryTiming extends RetryTiming, HoldTiming {
  /** An endpoint that has taken nothing for this long is disabled. */
  readonly disableAfterMs: number;
  /** Longer than a round takes. */
  readonly leaseMs: number;
}

const DAY_MS = 86_400_000;

export const DELIVERY_TIMING: DeliveryTiming = {
  retryDelayMs: 5_000,
  retryDelayMsMax: 7_200_000,
  giveUpAfterMs: DAY_MS,
  holdMs: 1_000,
  holdMsMax: 60_000,
  disableAfterMs: DAY_MS,
  leaseMs: 30_000,
};

/** A try takes no longer, its answer included. */
export const DELIVERY_TIMEOUT_MS = 10_000;
/** Deliveries of one endpoint that are under way at a time, in each worker. */
const PER_ROUND_MAX = 16;

export interface DeliveriesDependencies {
  /** Nobody else's: lanes may wait for connections, and nothing else waits with them. */
  readonly pool: pg.Pool;
  /** Closed with them. */
  readonly sender: Sender;
  /** Whether nothing is to be sent now; what is under way is finished. */
  readonly isPaused?: (() => boolean) | undefined;
  readonly log: Logger;
  readonly timing?: Partial<DeliveryTiming> | undefined;
}

export class Deliveries {
  readonly #deps: DeliveriesDependencies;
  readonly #timing: DeliveryTiming;
  readonly #name = holderName();
  #inFlight = 0;
  /** By endpoint: whether something came up since its last look. */
  readonly #lanes = new Map<string, { wokenAgain: boolean; readonly ended: Promise<void> }>();
  #stopping = false;

  constructor(deps: DeliveriesDependencies) {
    this.#deps = deps;
    this.#timing = { ...DELIVERY_TIMING, ...deps.timing };
  }

  /** Tries that are under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Takes the leases from processes of this machine that are gone; the sweep wakes their endpoints at once. */
  async freeAbandoned(): Promise<void> {
    const { pool, log } = this.#deps;
    const gone = (await listDeliveryHolders(pool)).filter(isGone);
    const freed = gone.length > 0 ? await freeDeliveries(pool, gone) : 0;
    if (freed > 0) log.info({ freed }, "webhooks that a worker had under way when it ended are sent again");
  }

  /** Something is due for these endpoints. */
  wake(endpointIds: readonly string[]): void {
    for (const id of endpointIds) {
      const lane = this.#lanes.get(id);
      if (lane) lane.wokenAgain = true;
      else if (!this.#stopping) this.#lanes.set(id, { wokenAgain: false, ended: this.#run(id) });
    }
  }

  /** Resolves when no round is under way, or after so long: what is left is due again after its lease. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    const waiting = Promise.withResolvers<void>();
    const timer = setTimeout(waiting.resolve, timeoutMs);
    await Promise.race([Promise.all([...this.#lanes.values()].map(({ ended }) => ended)), waiting.promise]);
    clearTimeout(timer);
    this.#deps.sender.close();
    await Promise.all([...this.#lanes.values()].map(({ ended }) => ended));
  }

  async #run(endpointId: string): Promise<void> {
    // Its first look comes after it is in the map.
    await Promise.resolve();
    try {
      while (!this.#stopping && !this.#deps.isPaused?.()) {
        const lane = this.#lanes.get(endpointId);
        if (lane) lane.wokenAgain = false;
        const isFull = await this.#round(endpointId);
        if (!isFull && !lane?.wokenAgain) break;
      }
    } catch (err) {
      // The sweep wakes it again while anything is due.
      this.#deps.log.warn({ err, webhookEndpoint: endpointId }, "webhooks could not be sent; they are tried again");
    } finally {
      this.#lanes.delete(endpointId);
    }
  }

  /** @returns whether there may be more to send at once */
  async #round(endpointId: string): Promise<boolean> {
    const { pool, log } = this.#deps;
    const target = await findTarget(pool, endpointId);
    if (!target) return false;
    const { leaseMs } = this.#timing;
    const due = await takeDue(pool, endpointId, { leaseMs, limit: PER_ROUND_MAX, takenBy: this.#name });
    if (due.length === 0) return false;
    const ids = new Set(due.map(({ orderId }) => orderId).filter((id) => id !== null));
    const orders = ids.size === 0 ? [] : await findOrders(pool, [...ids]);
    const orderOf = new Map(orders.map((order) => [order.id, order]));
    const outcomes = await Promise.all(due.map((delivery) => this.#send(target, delivery, orderOf)));
    const dead = await recordTries(pool, outcomes, this.#timing);
    if (dead.length > 0) log.error({ webhookEndpoint: endpointId, deliveries: dead }, "webhooks were never taken");
    return await this.#judge(endpointId, outcomes, due.length === PER_ROUND_MAX);
  }

  async #send(
    { url, secrets, nowSeconds }: SendTarget,
    delivery: DueDelivery,
    orderOf: ReadonlyMap<string, OrderWithLines>,
  ): Promise<TryOutcome> {
    const { id, eventId } = delivery;
    const data = dataOf(delivery, orderOf);
    if (!data) return { id, status: null, error: ORDER_GONE };
    const body = Buffer.from(JSON.stringify({ type: delivery.type, timestamp: delivery.at.toISOString(), data }));
    const headers = {
      "webhook-id": eventId,
      "webhook-timestamp": String(nowSeconds),
      "webhook-signature": secrets.map((secret) => signWebhook(secret, eventId, nowSeconds, body)).join(" "),
    };
    this.#inFlight += 1;
    const sent = await this.#deps.sender.send(url, headers, body); // never rejects
    this.#inFlight -= 1;
    return { id, ...sent };
  }

  /** What a round says about its endpoint. @returns whether to go on at once */
  async #judge(endpointId: string, outcomes: readonly TryOutcome[], isFull: boolean): Promise<boolean> {
    const { pool } = this.#deps;
    const tried = outcomes.filter(({ error }) => error !== ORDER_GONE);
    if (tried.some(({ error }) => error === null)) {
      if (await noteTaken(pool, endpointId)) await hastenRetries(pool, endpointId);
      return isFull;
    }
    if (tried.length === 0) return isFull;
    const failed = await noteFailed(pool, endpointId, this.#timing);
    if (failed && failed.failingMs > this.#timing.disableAfterMs) await this.#disable(endpointId, tried);
    return false;
  }

  async #disable(endpointId: string, tried: readonly TryOutcome[]): Promise<void> {
    const { pool, log } = this.#deps;
    const last = tried.at(-1)?.error ?? null;
    const disabled = await transaction(pool, async (client) => {
      if (!(await disableFailing(client, endpointId))) return false;
      await recordAudit(client, {
        actor: "system",
        action: "webhook_endpoint.disable",
        subject: subjectOf({ id: endpointId }),
        after: { enabled: false, lastError: last },
        reason: "nothing was taken for too long",
      });
      return true;
    });
    if (disabled) log.error({ webhookEndpoint: endpointId, last }, "a webhook endpoint took nothing and is disabled");
  }
}

const ORDER_GONE = "order_gone";

/** `undefined`: there is no such order, or no such version of it, any more. */
function dataOf({ type, orderId, version, eventId }: DueDelivery, orderOf: ReadonlyMap<string, OrderWithLines>) {
  if (type === PING) return { eventId };
  const order = orderId === null ? undefined : orderOf.get(orderId);
  return order && version !== null ? representOrderAt(order, version) : undefined;
}

// The channels `orders/{id}`. Redis tells that orders moved; those that somebody here watches are read from Postgres,
// many in one statement. Notices may be lost, so once a second the watched orders' versions are compared with Postgres.
import { OnrushError } from "../../engine/errors.ts";
import { parseOrderChanges } from "../../engine/events.ts";
import { findMovedOn } from "../../engine/ledger/orders.ts";
import type { Logger } from "../../engine/log.ts";
import { parseOrderId } from "../../engine/order-id.ts";
import { isTerminal } from "../../engine/order-state.ts";
import { maySee } from "../orders/lookup.ts";
import type { OrderView } from "../orders/representation.ts";
import { batched } from "./batched.ts";
import type { Feed, SubscribeRequest } from "./feed.ts";
import type { StatusLimits } from "./limits.ts";
import { OrderChannel } from "./order-channel.ts";
import { lookUpOrders, type OrderSource, readOrders } from "./order-views.ts";
import { subscribedMessage } from "./protocol.ts";
import type { Subscription } from "./subscription.ts";

export interface OrderFeedDependencies extends OrderSource {
  readonly log: Logger;
  readonly limits: StatusLimits;
}

export class OrderFeed implements Feed {
  readonly #deps: OrderFeedDependencies;
  readonly #lookUp: (id: string) => Promise<OrderView | undefined>;
  readonly #channels = new Map<string, OrderChannel>();
  /** Orders to be read by the next statement. */
  readonly #due = new Set<string>();
  #reading = false;
  #gather: NodeJS.Timeout | undefined;
  #check: NodeJS.Timeout | undefined;
  #pass = 0;
  #checkFrom = 0;
  #stopped = false;

  constructor(deps: OrderFeedDependencies) {
    this.#deps = deps;
    const { gatherMs, ordersPerLookUpMax: perBatchMax, lookUpsMax: batchesMax } = deps.limits;
    this.#lookUp = batched((ids) => lookUpOrders(deps, ids), { gatherMs, perBatchMax, batchesMax });
  }

  start(): void {
    this.#scheduleCheck();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#gather);
    clearTimeout(this.#check);
  }

  async subscribe({ id, caller, since }: SubscribeRequest, subscription: Subscription): Promise<void> {
    if (!parseOrderId(id)) throw notFound();
    const channel = this.#channels.get(id) ?? new OrderChannel(subscription.channelName);
    this.#channels.set(id, channel);
    // From here on notices of this order are kept: none gets lost between the look at it and the first message.
    channel.opening += 1;
    try {
      const view = await this.#firstLook(channel, id, since);
      if (!view || !maySee(view.customerId, caller)) throw notFound();
      if (!subscription.isOpen) return;
      channel.advance(view);
      channel.subscriptions.add(subscription);
      this.#sendFirst(channel, subscription, since);
      if (channel.noticed > channel.version) this.#read(id);
    } finally {
      channel.opening -= 1;
      this.#forgetIfUnused(id, channel);
    }
  }

  unsubscribe(id: string, subscription: Subscription): void {
    const channel = this.#channels.get(id);
    channel?.subscriptions.delete(subscription);
    if (channel) this.#forgetIfUnused(id, channel);
  }

  /** Hears a message of `CHANNELS.orders`. */
  hear(message: string): void {
    if (this.#channels.size === 0) return;
    for (const { id, version } of parseOrderChanges(message)) {
      const channel = this.#channels.get(id);
      if (!channel || version <= channel.noticed) continue;
      channel.noticed = version;
      if (channel.view && version > channel.version) this.#read(id);
    }
  }

  /** A watched order is known, and at most a second old; a stranger to this process is looked up. */
  async #firstLook(channel: OrderChannel, id: string, since = 0): Promise<OrderView | undefined> {
    if (channel.subscriptions.size > 0 && channel.version >= since) {
      this.#read(id);
      return channel.view;
    }
    return this.#lookUp(id);
  }

  #sendFirst(channel: OrderChannel, subscription: Subscription, since: number | undefined): void {
    const newest = () => channel.snapshot();
    // A version that the order never had says nothing about what the client has.
    const known = since !== undefined && since <= channel.version ? since : undefined;
    subscription.confirm(subscribedMessage(channel.name), known ?? 0, newest);
    if (known !== undefined) {
      for (const frame of channel.eventsSince(known)) subscription.offer(frame);
      return;
    }
    const frame = newest();
    if (frame) subscription.offer(frame);
  }

  #forgetIfUnused(id: string, channel: OrderChannel): void {
    if (channel.opening > 0 || channel.subscriptions.size > 0) return;
    this.#channels.delete(id);
    this.#due.delete(id);
  }

  #read(id: string): void {
    this.#due.add(id);
    this.#schedule(this.#deps.limits.gatherMs);
  }

  #schedule(delayMs: number): void {
    if (this.#gather !== undefined || this.#reading || this.#stopped) return;
    this.#gather = setTimeout(() => {
      this.#gather = undefined;
      void this.#readDue();
    }, delayMs);
  }

  /** Reads what is due, one statement after the other; what came meanwhile is in the next one. */
  async #readDue(): Promise<void> {
    const { pool, limits, log } = this.#deps;
    this.#reading = true;
    let ids: string[] = [];
    let delayMs: number = limits.gatherMs;
    try {
      while (this.#due.size > 0 && !this.#stopped) {
        ids = [...this.#due].slice(0, limits.ordersPerReadMax);
        for (const id of ids) this.#due.delete(id);
        for (const [id, view] of await readOrders(pool, ids)) {
          const channel = this.#channels.get(id);
          // Without a first look nobody watches it yet; that look finds this state, or a newer one.
          if (channel?.view) channel.advance(view);
        }
      }
    } catch (error) {
      for (const id of ids) if (this.#channels.has(id)) this.#due.add(id);
      delayMs = limits.readRetryMs;
      if (!this.#stopped) log.warn({ err: error, orders: ids.length }, "changed orders could not be read");
    } finally {
      this.#reading = false;
      if (this.#due.size > 0) this.#schedule(delayMs);
    }
  }

  #scheduleCheck(): void {
    if (this.#stopped) return;
    this.#check = setTimeout(async () => {
      await this.#compare().catch((error) => {
        if (!this.#stopped) this.#deps.log.warn({ err: error }, "watched orders could not be compared");
      });
      this.#scheduleCheck();
    }, this.#deps.limits.checkMs);
    this.#check.unref();
  }

  async #compare(): Promise<void> {
    const { pool, limits } = this.#deps;
    this.#pass += 1;
    const all = this.#pass % limits.passesPerFullCheck === 0;
    const watched: { id: string; version: number }[] = [];
    for (const [id, { view }] of this.#channels) {
      if (view && (all || !isTerminal(view.status))) watched.push({ id, version: view.version });
    }
    if (watched.length === 0) return;
    if (this.#checkFrom >= watched.length) this.#checkFrom = 0;
    const turn = watched.slice(this.#checkFrom, this.#checkFrom + limits.ordersPerCheckMax);
    this.#checkFrom += turn.length;
    for (const id of await findMovedOn(pool, turn)) if (this.#channels.has(id)) this.#read(id);
  }
}

function notFound(): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such order.");
}

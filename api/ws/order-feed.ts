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
import { CatchUp, type Watched } from "./catch-up.ts";
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
  readonly #catchUp: CatchUp;
  #pass = 0;

  constructor(deps: OrderFeedDependencies) {
    this.#deps = deps;
    const { gatherMs, ordersPerLookUpMax: perBatchMax, lookUpsMax: batchesMax } = deps.limits;
    this.#catchUp = new CatchUp({
      what: "orders",
      limits: deps.limits,
      perReadMax: deps.limits.ordersPerReadMax,
      perCheckMax: deps.limits.ordersPerCheckMax,
      log: deps.log,
      read: (ids) => this.#readNow(ids),
      isWatched: (id) => this.#channels.has(id),
      listWatched: () => this.#listWatched(),
      findMovedOn: (watched) => findMovedOn(deps.pool, watched),
    });
    this.#lookUp = batched((ids) => lookUpOrders(deps, ids), { gatherMs, perBatchMax, batchesMax });
  }

  start(): void {
    this.#catchUp.start();
  }

  stop(): void {
    this.#catchUp.stop();
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
      if (channel.noticed > channel.version) this.#catchUp.read(id);
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
      if (channel.view && version > channel.version) this.#catchUp.read(id);
    }
  }

  /** A watched order is known, and at most a second old; a stranger to this process is looked up. */
  async #firstLook(channel: OrderChannel, id: string, since = 0): Promise<OrderView | undefined> {
    if (channel.subscriptions.size > 0 && channel.version >= since) {
      this.#catchUp.read(id);
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
    this.#catchUp.forget(id);
  }

  async #readNow(ids: readonly string[]): Promise<void> {
    for (const [id, view] of await readOrders(this.#deps.pool, ids)) {
      const channel = this.#channels.get(id);
      // Without a first look nobody watches it yet; that look finds this state, or a newer one.
      if (channel?.view) channel.advance(view);
    }
  }

  /** Orders at an end hardly ever move: every so many passes are enough for them. */
  #listWatched(): Watched[] {
    this.#pass += 1;
    const all = this.#pass % this.#deps.limits.passesPerFullCheck === 0;
    const watched: Watched[] = [];
    for (const [id, { view }] of this.#channels) {
      if (view && (all || !isTerminal(view.status))) watched.push({ id, version: view.version });
    }
    return watched;
  }
}

function notFound(): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such order.");
}

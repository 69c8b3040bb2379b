// The channels `sales/{id}`: the sale as GET shows it, sent when it changed. A watched sale is read at a rate that falls
// as its audience grows, so that what a hot sale costs a process stays flat.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CatalogueView, SaleView } from "../../engine/catalogue/view.ts";
import { OnrushError } from "../../engine/errors.ts";
import type { Logger } from "../../engine/log.ts";
import { representSale } from "../sales/representation.ts";
import type { StockView } from "../sales/stock-view.ts";
import type { Feed, SubscribeRequest } from "./feed.ts";
import type { StatusLimits } from "./limits.ts";
import { stateMessage, subscribedMessage } from "./protocol.ts";
import type { Frame, Subscription } from "./subscription.ts";

export interface SaleFeedDependencies {
  readonly catalogue: CatalogueView;
  readonly stock: StockView;
  readonly log: Logger;
  readonly limits: StatusLimits;
}

interface SaleChannel {
  readonly name: string;
  readonly subscriptions: Set<Subscription>;
  /** Reconnected ahead of what this process has read: they get their snapshot from the next read. */
  readonly ahead: Set<Subscription>;
  opening: number;
  json: string;
  /**
   * When the sale was last read, in ms of Redis' clock: a number that grows in every process alike, so that a client
   * that reconnects elsewhere does not see it fall. Grows with every read, also one that found nothing new.
   */
  version: number;
  snapshot: Frame | undefined;
  loading: Promise<boolean> | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** Sockets that are sent to in one go; then others get their turn. */
const SENDS_PER_TURN = 1_000;
/** How far ahead of this process a client's version may be and still be believed. */
const AHEAD_MS_MAX = 5_000;

export class SaleFeed implements Feed {
  readonly #deps: SaleFeedDependencies;
  readonly #channels = new Map<string, SaleChannel>();
  #stopped = false;

  constructor(deps: SaleFeedDependencies) {
    this.#deps = deps;
  }

  async subscribe({ id, since }: SubscribeRequest, subscription: Subscription): Promise<void> {
    if (!this.#deps.catalogue.sale(id)) throw new OnrushError("NOT_FOUND", "There is no such sale.");
    const channel = this.#channels.get(id) ?? newChannel(subscription.channelName);
    this.#channels.set(id, channel);
    channel.opening += 1;
    try {
      if (channel.version === 0) await this.#load(id, channel);
      if (!subscription.isOpen) return;
      channel.subscriptions.add(subscription);
      this.#sendFirst(channel, subscription, since);
      this.#schedule(id, channel);
    } finally {
      channel.opening -= 1;
      this.#forgetIfUnused(id, channel);
    }
  }

  unsubscribe(id: string, subscription: Subscription): void {
    const channel = this.#channels.get(id);
    if (!channel) return;
    channel.subscriptions.delete(subscription);
    channel.ahead.delete(subscription);
    this.#forgetIfUnused(id, channel);
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#channels.values()) clearTimeout(timer);
  }

  #sendFirst(channel: SaleChannel, subscription: Subscription, since = 0): void {
    const isAhead = since >= channel.version && since < channel.version + AHEAD_MS_MAX;
    subscription.confirm(subscribedMessage(channel.name), isAhead ? since : 0, () => snapshotOf(channel));
    if (isAhead) channel.ahead.add(subscription);
    else subscription.offer(snapshotOf(channel));
  }

  #forgetIfUnused(id: string, channel: SaleChannel): void {
    if (channel.opening > 0 || channel.subscriptions.size > 0) return;
    clearTimeout(channel.timer);
    this.#channels.delete(id);
  }

  #schedule(id: string, channel: SaleChannel): void {
    if (channel.timer !== undefined || this.#stopped) return;
    channel.timer = setTimeout(
      async () => {
        await this.#poll(id, channel);
        channel.timer = undefined;
        if (this.#channels.get(id) === channel) this.#schedule(id, channel);
      },
      pollDelayMs(channel.subscriptions.size, this.#deps.limits),
    );
    channel.timer.unref();
  }

  async #poll(id: string, channel: SaleChannel): Promise<void> {
    try {
      const changed = await this.#load(id, channel);
      if (changed) await broadcast(channel);
      for (const subscription of channel.ahead) {
        if (subscription.version >= channel.version) continue;
        channel.ahead.delete(subscription);
        subscription.offer(snapshotOf(channel));
      }
    } catch (error) {
      if (!this.#stopped) this.#deps.log.warn({ err: error, saleId: id }, "a watched sale could not be read");
    }
  }

  /** Reads the sale. @returns whether it is another than before */
  async #load(id: string, channel: SaleChannel): Promise<boolean> {
    channel.loading ??= this.#read(id, channel).finally(() => {
      channel.loading = undefined;
    });
    return channel.loading;
  }

  async #read(id: string, channel: SaleChannel): Promise<boolean> {
    const sale = this.#deps.catalogue.sale(id) as SaleView; // sales are never deleted
    const stock = await this.#deps.stock.read(sale);
    const json = JSON.stringify(representSale(sale, stock));
    const changed = json !== channel.json;
    channel.json = json;
    channel.version = Math.max(channel.version + 1, Math.floor(stock.nowMs));
    channel.snapshot = undefined;
    return changed;
  }
}

/** Time between two reads of a sale that so many watch. */
export function pollDelayMs(audience: number, limits: StatusLimits): number {
  const fair = (audience / limits.stockSendsPerSecond) * 1_000;
  return Math.min(limits.stockMsMax, Math.max(limits.stockMsMin, fair));
}

async function broadcast(channel: SaleChannel): Promise<void> {
  const { version } = channel;
  const frame = { version, message: stateMessage("event", channel.name, version, channel.json) };
  let sent = 0;
  for (const subscription of [...channel.subscriptions]) {
    subscription.offer(frame);
    sent += 1;
    if (sent % SENDS_PER_TURN === 0) await nextTurn();
  }
}

function snapshotOf(channel: SaleChannel): Frame {
  const { version } = channel;
  channel.snapshot ??= { version, message: stateMessage("snapshot", channel.name, version, channel.json) };
  return channel.snapshot;
}

function newChannel(name: string): SaleChannel {
  return {
    name,
    subscriptions: new Set(),
    ahead: new Set(),
    opening: 0,
    json: "",
    version: 0,
    snapshot: undefined,
    loading: undefined,
    timer: undefined,
  };
}

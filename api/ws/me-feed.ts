// The channel `me`: a member's notifications as they come. Redis tells that orders moved; the inboxes of those members that
// are watched here are then collected and read, many in one go, and once a second compared with Postgres, which brings what
// no notice told of: lost ones, support's answers, what was read on another device.

import type pg from "pg";
import { OnrushError } from "../../engine/errors.ts";
import { parseOrderChanges } from "../../engine/events.ts";
import type { Logger } from "../../engine/log.ts";
import {
  collectNotifications,
  findInboxesMovedOn,
  type Inbox,
  listNewestOrderIds,
  readInboxes,
} from "../../engine/notifications/inbox.ts";
import { CatchUp } from "./catch-up.ts";
import type { Feed, SubscribeRequest } from "./feed.ts";
import type { StatusLimits } from "./limits.ts";
import { eventsOf, MeChannel, snapshotOf } from "./me-channel.ts";
import { subscribedMessage } from "./protocol.ts";
import type { Subscription } from "./subscription.ts";

export interface MeFeedDependencies {
  readonly pool: pg.Pool;
  readonly log: Logger;
  readonly limits: StatusLimits;
}

const MEMBER = /^cus_/;

export class MeFeed implements Feed {
  readonly #deps: MeFeedDependencies;
  /** By member. */
  readonly #channels = new Map<string, MeChannel>();
  readonly #members = new Map<Subscription, string>();
  /** Whose each watched order is. */
  readonly #owners = new Map<string, string>();
  readonly #catchUp: CatchUp;

  constructor(deps: MeFeedDependencies) {
    this.#deps = deps;
    this.#catchUp = new CatchUp({
      what: "inboxes",
      limits: deps.limits,
      perReadMax: deps.limits.inboxesPerReadMax,
      perCheckMax: deps.limits.inboxesPerCheckMax,
      log: deps.log,
      read: (members) => this.#readNow(members),
      isWatched: (member) => this.#channels.has(member),
      listWatched: () =>
        [...this.#channels].flatMap(([id, { isKnown, version }]) => (isKnown ? [{ id, version }] : [])),
      findMovedOn: (watched) => findInboxesMovedOn(deps.pool, watched),
    });
  }

  start(): void {
    this.#catchUp.start();
  }

  stop(): void {
    this.#catchUp.stop();
  }

  async subscribe({ caller, since }: SubscribeRequest, subscription: Subscription): Promise<void> {
    const member = caller?.customerId;
    if (member === undefined || !MEMBER.test(member)) throw new OnrushError("NOT_FOUND", "There is no such channel.");
    const { pool, limits } = this.#deps;
    const channel = this.#channels.get(member) ?? new MeChannel(limits.notificationsPerSnapshot);
    this.#channels.set(member, channel);
    channel.opening += 1;
    try {
      if (!channel.isKnown) {
        for (const id of await listNewestOrderIds(pool, member, limits.ordersPerInboxMax))
          this.#own(member, channel, id);
      }
      await collectNotifications(pool, [member]);
      const inbox = await this.#look(member, 0, limits.notificationsPerSnapshot);
      const missed = since === undefined ? undefined : await this.#missed(member, since, inbox.version);
      if (!subscription.isOpen) return;
      channel.begin(inbox);
      channel.subscriptions.add(subscription);
      this.#members.set(subscription, member);
      subscription.confirm(subscribedMessage("me"), missed ? (since ?? 0) : -1, () => channel.snapshot());
      if (missed) for (const frame of eventsOf(missed, since ?? 0)) subscription.offer(frame);
      else subscription.offer(snapshotOf(inbox));
      channel.catchUp(subscription);
      // Notices that came meanwhile found nobody to tell.
      this.#catchUp.read(member);
    } finally {
      channel.opening -= 1;
      this.#forgetIfUnused(member, channel);
    }
  }

  unsubscribe(_: string, subscription: Subscription): void {
    const member = this.#members.get(subscription);
    if (member === undefined) return;
    this.#members.delete(subscription);
    const channel = this.#channels.get(member);
    channel?.subscriptions.delete(subscription);
    if (channel) this.#forgetIfUnused(member, channel);
  }

  /** Hears a message of `CHANNELS.orders`. */
  hear(message: string): void {
    if (this.#channels.size === 0) return;
    for (const { id, customerId } of parseOrderChanges(message)) {
      const member = customerId ?? this.#owners.get(id);
      const channel = member === undefined ? undefined : this.#channels.get(member);
      if (member === undefined || !channel) continue;
      this.#own(member, channel, id);
      if (channel.isKnown) this.#catchUp.read(member);
    }
  }

  /** From here on, what is told of the order is told to the member. The oldest gives way; it is compared all the same. */
  #own(member: string, channel: MeChannel, orderId: string): void {
    if (channel.orders.has(orderId)) return;
    const [oldest] = channel.orders;
    if (oldest !== undefined && channel.orders.size >= this.#deps.limits.ordersPerInboxMax) {
      channel.orders.delete(oldest);
      this.#owners.delete(oldest);
    }
    channel.orders.add(orderId);
    this.#owners.set(orderId, member);
  }

  async #look(member: string, since: number, notificationsMax: number): Promise<Inbox> {
    const inboxes = await readInboxes(this.#deps.pool, [{ id: member, since }], notificationsMax);
    return inboxes.get(member) ?? { version: 0, unread: 0, notifications: [] };
  }

  /** What came after `since`; `undefined` when that is too much, or when the inbox never had that version. */
  async #missed(member: string, since: number, version: number): Promise<Inbox | undefined> {
    const { notificationsMissedMax } = this.#deps.limits;
    if (since > version) return undefined;
    const inbox = await this.#look(member, since, notificationsMissedMax + 1);
    return inbox.notifications.length <= notificationsMissedMax ? inbox : undefined;
  }

  #forgetIfUnused(member: string, channel: MeChannel): void {
    if (channel.opening > 0 || channel.subscriptions.size > 0) return;
    this.#channels.delete(member);
    this.#catchUp.forget(member);
    for (const orderId of channel.orders) this.#owners.delete(orderId);
  }

  async #readNow(members: readonly string[]): Promise<void> {
    const { pool, limits } = this.#deps;
    await collectNotifications(pool, members);
    const wanted = members.flatMap((id) => {
      const channel = this.#channels.get(id);
      return channel?.isKnown ? [{ id, since: channel.version }] : [];
    });
    if (wanted.length === 0) return;
    for (const [id, inbox] of await readInboxes(pool, wanted, limits.notificationsPerSnapshot)) {
      this.#channels.get(id)?.advance(inbox, inbox.notifications.length < limits.notificationsPerSnapshot);
    }
  }
}

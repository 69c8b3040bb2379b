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
  /** Members whose inboxes are to be collected and read next. */
  readonly #due = new Set<string>();
  #reading = false;
  #gather: NodeJS.Timeout | undefined;
  #check: NodeJS.Timeout | undefined;
  #checkFrom = 0;
  #stopped = false;

  constructor(deps: MeFeedDependencies) {
    this.#deps = deps;
  }

  start(): void {
    this.#scheduleCheck();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#gather);
    clearTimeout(this.#check);
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
      this.#read(member);
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
      if (channel.isKnown) this.#read(member);
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
    this.#due.delete(member);
    for (const orderId of channel.orders) this.#owners.delete(orderId);
  }

  #read(member: string): void {
    this.#due.add(member);
    this.#schedule(this.#deps.limits.gatherMs);
  }

  #schedule(delayMs: number): void {
    if (this.#gather !== undefined || this.#reading || this.#stopped) return;
    this.#gather = setTimeout(() => {
      this.#gather = undefined;
      void this.#readDue();
    }, delayMs);
  }

  /** Collects and reads what is due, one batch after the other; what came meanwhile is in the next one. */
  async #readDue(): Promise<void> {
    const { pool, limits, log } = this.#deps;
    this.#reading = true;
    let members: string[] = [];
    let delayMs: number = limits.gatherMs;
    try {
      while (this.#due.size > 0 && !this.#stopped) {
        members = [...this.#due].slice(0, limits.inboxesPerReadMax);
        for (const member of members) this.#due.delete(member);
        await collectNotifications(pool, members);
        const wanted = members.flatMap((id) => {
          const channel = this.#channels.get(id);
          return channel?.isKnown ? [{ id, since: channel.version }] : [];
        });
        if (wanted.length === 0) continue;
        for (const [id, inbox] of await readInboxes(pool, wanted, limits.notificationsPerSnapshot)) {
          this.#channels.get(id)?.advance(inbox, inbox.notifications.length < limits.notificationsPerSnapshot);
        }
      }
    } catch (error) {
      for (const member of members) if (this.#channels.has(member)) this.#due.add(member);
      delayMs = limits.readRetryMs;
      if (!this.#stopped) log.warn({ err: error, members: members.length }, "notifications could not be read");
    } finally {
      this.#reading = false;
      if (this.#due.size > 0) this.#schedule(delayMs);
    }
  }

  #scheduleCheck(): void {
    if (this.#stopped) return;
    this.#check = setTimeout(async () => {
      await this.#compare().catch((error) => {
        if (!this.#stopped) this.#deps.log.warn({ err: error }, "watched inboxes could not be compared");
      });
      this.#scheduleCheck();
    }, this.#deps.limits.checkMs);
    this.#check.unref();
  }

  async #compare(): Promise<void> {
    const watched: { id: string; version: number }[] = [];
    for (const [id, channel] of this.#channels) if (channel.isKnown) watched.push({ id, version: channel.version });
    if (watched.length === 0) return;
    if (this.#checkFrom >= watched.length) this.#checkFrom = 0;
    const turn = watched.slice(this.#checkFrom, this.#checkFrom + this.#deps.limits.inboxesPerCheckMax);
    this.#checkFrom += turn.length;
    for (const id of await findInboxesMovedOn(this.#deps.pool, turn)) if (this.#channels.has(id)) this.#read(id);
  }
}

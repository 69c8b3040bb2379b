// The channels `support/{threadId}`: what is said in a thread, to its member and to agents, in whatever process each of them
// is. Redis tells that a thread moved; what is new in it is read from Postgres, and once a second the watched threads'
// versions are compared with it, so that a lost notice is late and no more. Who is there and who is writing is told over
// Redis alone.
import { randomUUID } from "node:crypto";
import { OnrushError, unreachable } from "../../engine/errors.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import type { Logger } from "../../engine/log.ts";
import { readThreads, type ThreadNews } from "../../engine/support/messages.ts";
import { type Presence, parseSupportNotice } from "../../engine/support/notices.ts";
import { type Side, sideOf } from "../../engine/support/thread.ts";
import { findThreadsMovedOn, noThread } from "../../engine/support/threads.ts";
import type { Identity } from "../auth/tokens.ts";
import { UUID } from "../http/fields.ts";
import { participantOf, type SupportDesk } from "../support/desk.ts";
import { CatchUp } from "./catch-up.ts";
import type { Feed, SubscribeRequest } from "./feed.ts";
import type { StatusLimits } from "./limits.ts";
import { type Said, subscribedMessage } from "./protocol.ts";
import type { Subscription } from "./subscription.ts";
import { SupportChannel, snapshotOf } from "./support-channel.ts";

export interface SupportFeedDependencies {
  readonly pool: Queryable;
  readonly desk: SupportDesk;
  readonly log: Logger;
  readonly limits: StatusLimits;
}

export class SupportFeed implements Feed {
  readonly #deps: SupportFeedDependencies;
  /** This process, as others hear of it. */
  readonly #process = randomUUID();
  readonly #channels = new Map<string, SupportChannel>();
  readonly #catchUp: CatchUp;
  #presence: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(deps: SupportFeedDependencies) {
    this.#deps = deps;
    this.#catchUp = new CatchUp({
      what: "support threads",
      limits: deps.limits,
      perReadMax: deps.limits.threadsPerNotice,
      perCheckMax: deps.limits.ordersPerCheckMax,
      log: deps.log,
      read: (ids) => this.#readNow(ids),
      isWatched: (id) => this.#channels.has(id),
      listWatched: () => [...this.#channels].flatMap(([id, { version }]) => (version > 0 ? [{ id, version }] : [])),
      findMovedOn: (watched) => findThreadsMovedOn(deps.pool, watched),
    });
  }

  start(): void {
    this.#catchUp.start();
    this.#presence = setInterval(() => this.#renewPresence(), this.#deps.limits.presenceMs);
    this.#presence.unref();
  }

  stop(): void {
    this.#stopped = true;
    this.#catchUp.stop();
    clearInterval(this.#presence);
  }

  async subscribe({ id, caller, since }: SubscribeRequest, subscription: Subscription): Promise<void> {
    if (!caller || !UUID.test(id)) throw noThread();
    const { messagesPerSnapshot } = this.#deps.limits;
    const channel = this.#channels.get(id) ?? new SupportChannel(subscription.channelName, messagesPerSnapshot);
    this.#channels.set(id, channel);
    // From here on notices of this thread are kept: none gets lost between the look at it and the first message.
    channel.opening += 1;
    try {
      const news = await this.#look(id, 0, messagesPerSnapshot);
      const side = news && sideOf(news.thread, participantOf(caller));
      if (!news || !side) throw noThread();
      const missed = since === undefined ? undefined : await this.#missed(id, since, news.thread.version);
      if (!subscription.isOpen) return;
      channel.begin(news);
      const isFirst = channel.subscriptions.size === 0;
      channel.subscriptions.set(subscription, side);
      subscription.confirm(subscribedMessage(channel.name), missed ? (since ?? 0) : 0, () => channel.snapshot());
      if (missed) for (const frame of channel.events(missed, since ?? 0)) subscription.offer(frame);
      else subscription.offer(snapshotOf(channel.name, news));
      channel.catchUp(subscription);
      if (Math.max(channel.noticed, news.thread.version) > channel.version) this.#catchUp.read(id);
      channel.tellPresence(subscription);
      this.#tellPresence([id], isFirst);
    } finally {
      channel.opening -= 1;
      this.#forgetIfUnused(id, channel);
    }
  }

  unsubscribe(id: string, subscription: Subscription): void {
    const channel = this.#channels.get(id);
    if (!channel?.subscriptions.has(subscription)) return;
    channel.forget(subscription);
    channel.tellPresence();
    this.#tellPresence([id], false);
    this.#forgetIfUnused(id, channel);
  }

  async say(
    id: string,
    caller: Identity | undefined,
    said: Said,
    subscription: Subscription | undefined,
  ): Promise<void> {
    if (!caller || !UUID.test(id)) throw noThread();
    const { desk } = this.#deps;
    switch (said.type) {
      case "message": {
        const { text, clientId } = said;
        await desk.post(participantOf(caller), { threadId: id, text, clientId });
        break;
      }
      case "read":
        await desk.markRead(participantOf(caller), id, said.version);
        break;
      case "typing":
        await this.#type(id, subscription);
        return;
      default:
        unreachable(said);
    }
    // Those who watch here need not wait for Redis, nor do without it.
    if (this.#channels.has(id)) this.#catchUp.read(id);
  }

  /** Hears a message of `CHANNELS.support`. */
  hear(message: string): void {
    if (this.#channels.size === 0) return;
    const notice = parseSupportNotice(message);
    if (!notice) return;
    if (notice.type === "present") {
      if (notice.process !== this.#process) this.#hearPresence(notice);
      return;
    }
    const channel = this.#channels.get(notice.id);
    if (!channel) return;
    if (notice.type === "typing") {
      channel.tellTyping(notice.side);
    } else if (notice.version > channel.noticed) {
      channel.noticed = notice.version;
      if (channel.version > 0 && notice.version > channel.version) this.#catchUp.read(notice.id);
    }
  }

  async #look(id: string, since: number, messagesMax: number): Promise<ThreadNews | undefined> {
    return (await readThreads(this.#deps.pool, [{ id, since }], messagesMax)).get(id);
  }

  /** What came after `since`; `undefined` when that is too much, or when the thread never had that version. */
  async #missed(id: string, since: number, version: number): Promise<ThreadNews | undefined> {
    const { messagesMissedMax } = this.#deps.limits;
    if (since > version) return undefined;
    const news = await this.#look(id, since, messagesMissedMax + 1);
    return news && news.messages.length <= messagesMissedMax ? news : undefined;
  }

  async #type(id: string, subscription: Subscription | undefined): Promise<void> {
    const channel = this.#channels.get(id);
    const side = subscription && channel?.subscriptions.get(subscription);
    if (!channel || !side) throw new OnrushError("INVALID_STATE", "Subscribe to the channel first.");
    const nowMs = performance.now();
    if (nowMs - channel.typedAtMs[side] < this.#deps.limits.typingMsMin) return;
    channel.typedAtMs[side] = nowMs;
    await this.#deps.desk.tell({ type: "typing", id, side });
  }

  #forgetIfUnused(id: string, channel: SupportChannel): void {
    if (channel.opening > 0 || channel.subscriptions.size > 0) return;
    this.#channels.delete(id);
    this.#catchUp.forget(id);
  }

  async #readNow(ids: readonly string[]): Promise<void> {
    const { pool, limits } = this.#deps;
    // Without a first look nobody watches it yet; that look finds this state, or a newer one.
    const wanted = ids.flatMap((id) => {
      const since = this.#channels.get(id)?.version ?? 0;
      return since > 0 ? [{ id, since }] : [];
    });
    if (wanted.length === 0) return;
    for (const [id, news] of await readThreads(pool, wanted, limits.messagesPerSnapshot)) {
      this.#channels.get(id)?.advance(news, news.messages.length < limits.messagesPerSnapshot);
    }
  }

  #hearPresence({ process, threads, asks }: Presence): void {
    const atMs = performance.now();
    const answers: string[] = [];
    for (const { id, customer, agent } of threads) {
      const channel = this.#channels.get(id);
      if (!channel) continue;
      if (customer || agent) channel.elsewhere.set(process, { customer, agent, atMs });
      else channel.elsewhere.delete(process);
      channel.tellPresence();
      if (asks && channel.subscriptions.size > 0) answers.push(id);
    }
    this.#tellPresence(answers, false);
  }

  /** Says again who is here, and forgets processes that have not said so for long. */
  #renewPresence(): void {
    const before = performance.now() - this.#deps.limits.presenceMsMax;
    const watched: string[] = [];
    for (const [id, channel] of this.#channels) {
      for (const [process, { atMs }] of channel.elsewhere) if (atMs < before) channel.elsewhere.delete(process);
      channel.tellPresence();
      if (channel.subscriptions.size > 0) watched.push(id);
    }
    this.#tellPresence(watched, false);
  }

  #tellPresence(ids: readonly string[], asks: boolean): void {
    const { desk, limits } = this.#deps;
    for (let from = 0; from < ids.length && !this.#stopped; from += limits.threadsPerNotice) {
      const threads = ids.slice(from, from + limits.threadsPerNotice).map((id) => ({ id, ...this.#hereOf(id) }));
      void desk.tell({ type: "present", process: this.#process, threads, asks });
    }
  }

  #hereOf(id: string): Record<Side, boolean> {
    return this.#channels.get(id)?.here ?? { customer: false, agent: false };
  }
}

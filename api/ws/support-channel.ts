// One watched support thread: its newest state that this process knows, who watches it here, and who is said to watch it in
// other processes. A message is an event of its own; what else changed (read marks, state) comes with the newest one.
import type { ThreadNews } from "../../engine/support/messages.ts";
import type { Message, Side, Thread } from "../../engine/support/thread.ts";
import { representMessage, representThread } from "../support/representation.ts";
import { stateMessage } from "./protocol.ts";
import type { Frame, Subscription } from "./subscription.ts";

/** Which sides of a thread are there. */
export type Present = Readonly<Record<Side, boolean>>;

export class SupportChannel {
  readonly name: string;
  readonly subscriptions = new Map<Subscription, Side>();
  /** Subscribers whose first look at the thread is under way. */
  opening = 0;
  /** The highest version that a notice told of. */
  noticed = 0;
  /** Who is there in other processes, by process, and when each said so. */
  readonly elsewhere = new Map<string, Present & { readonly atMs: number }>();
  /** When each side was last told to be writing. */
  readonly typedAtMs: Record<Side, number> = { customer: Number.NEGATIVE_INFINITY, agent: Number.NEGATIVE_INFINITY };
  readonly #messagesMax: number;
  #thread: Thread | undefined;
  #recent: readonly Message[] = [];
  #snapshot: Frame | undefined;
  #told: Present = { customer: false, agent: false };
  /** Had no room when they were to be told who is there. */
  readonly #untold = new Set<Subscription>();

  /** `messagesMax`: messages of a snapshot. */
  constructor(name: string, messagesMax: number) {
    this.name = name;
    this.#messagesMax = messagesMax;
  }

  /** 0 before the first look. */
  get version(): number {
    return this.#thread?.version ?? 0;
  }

  /** Takes the state of a first look; nobody is told, as nobody watches yet. */
  begin(news: ThreadNews): void {
    if (this.#thread === undefined) this.#take(news.thread, news.messages);
  }

  /** Takes what came after this state, and sends it. `isWhole`: false when there was more than was read. */
  advance({ thread, messages }: ThreadNews, isWhole: boolean): void {
    const from = this.version;
    if (thread.version <= from) return;
    this.#take(thread, [...this.#recent, ...messages.filter(({ version }) => version > from)]);
    const frames = isWhole ? this.events({ thread, messages }, from) : [this.snapshot()];
    for (const frame of frames) {
      if (frame) for (const subscription of this.subscriptions.keys()) subscription.offer(frame);
    }
  }

  /** Sends a subscription what it has not seen of the state. */
  catchUp(subscription: Subscription): void {
    const thread = this.#thread;
    if (!thread || subscription.version >= thread.version) return;
    const missed = this.#recent.filter(({ version }) => version > subscription.version);
    const mayReachFurther = missed.length === this.#recent.length && missed.length === this.#messagesMax;
    const frames = mayReachFurther
      ? [this.snapshot()]
      : this.events({ thread, messages: missed }, subscription.version);
    for (const frame of frames) if (frame) subscription.offer(frame);
  }

  /** The newest messages, with the thread's state. */
  snapshot(): Frame | undefined {
    if (!this.#thread) return undefined;
    this.#snapshot ??= snapshotOf(this.name, { thread: this.#thread, messages: this.#recent });
    return this.#snapshot;
  }

  /** Each message after `version`, in order, the last of them with the thread's state. */
  *events({ thread, messages }: ThreadNews, version: number): Generator<Frame> {
    let last = version;
    for (const message of messages) {
      if (message.version <= last) continue;
      last = message.version;
      const isNewest = last === thread.version;
      yield this.#event(last, {
        message: representMessage(message),
        ...(isNewest && { thread: representThread(thread) }),
      });
    }
    if (last < thread.version) yield this.#event(thread.version, { thread: representThread(thread) });
  }

  /** Who watches it in this process. */
  get here(): Present {
    const sides = new Set(this.subscriptions.values());
    return { customer: sides.has("customer"), agent: sides.has("agent") };
  }

  /** Tells who is there if that has changed, and in any case a newcomer and whoever had no room for it the last time. */
  tellPresence(newcomer?: Subscription): void {
    const present = this.#present();
    const hasChanged = present.customer !== this.#told.customer || present.agent !== this.#told.agent;
    this.#told = present;
    const message = JSON.stringify({ type: "presence", channel: this.name, ...present });
    const listeners = hasChanged ? this.subscriptions.keys() : [...this.#untold, ...(newcomer ? [newcomer] : [])];
    for (const subscription of listeners) {
      if (subscription.tell(message)) this.#untold.delete(subscription);
      else this.#untold.add(subscription);
    }
  }

  /** Tells the other side that this one is writing. */
  tellTyping(side: Side): void {
    const message = JSON.stringify({ type: "typing", channel: this.name, from: side });
    for (const [subscription, theirs] of this.subscriptions) if (theirs !== side) subscription.tell(message);
  }

  forget(subscription: Subscription): void {
    this.subscriptions.delete(subscription);
    this.#untold.delete(subscription);
  }

  #present(): Present {
    const all = [this.here, ...this.elsewhere.values()];
    return { customer: all.some(({ customer }) => customer), agent: all.some(({ agent }) => agent) };
  }

  #take(thread: Thread, messages: readonly Message[]): void {
    this.#thread = thread;
    this.#recent = messages.slice(-this.#messagesMax);
    this.#snapshot = undefined;
  }

  #event(version: number, data: unknown): Frame {
    return { version, message: stateMessage("event", this.name, version, JSON.stringify(data)) };
  }
}

/** `messages`: the newest, in order. */
export function snapshotOf(name: string, { thread, messages }: ThreadNews): Frame {
  const data = { thread: representThread(thread), messages: messages.map(representMessage) };
  return { version: thread.version, message: stateMessage("snapshot", name, thread.version, JSON.stringify(data)) };
}

// One socket: reads its messages, keeps its subscriptions, and bounds what it may cost in both directions.
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import { OnrushError, unreachable } from "../../engine/errors.ts";
import type { Logger } from "../../engine/log.ts";
import { refusalOf } from "../http/failures.ts";
import type { CloseCause, StatusCounters } from "./counters.ts";
import type { Feed } from "./feed.ts";
import type { StatusLimits } from "./limits.ts";
import {
  type Channel,
  type ChannelKind,
  CLOSE,
  type ClientMessage,
  errorMessage,
  PONG,
  parseChannel,
  parseClientMessage,
  type Said,
} from "./protocol.ts";
import { type Reader, Subscription } from "./subscription.ts";
import type { TicketHolder } from "./tickets.ts";

export interface SessionDependencies {
  readonly feeds: Readonly<Record<ChannelKind, Feed>>;
  readonly limits: StatusLimits;
  readonly counters: StatusCounters;
  readonly log: Logger;
  /** The session has states to catch up with: `drain` is to be called now and then. */
  onBehind(session: Session): void;
}

const SECOND_MS = 1_000;
/** A socket that sends this many times what it may within a second does so on purpose. */
const FLOOD_FACTOR = 4;
/** What is written in one go is sent in one go, which is most of what a small message costs; more than this is not held. */
const HELD_BYTES_MAX = 16 * 1_024;

export class Session implements Reader {
  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  #holding = false;
  readonly #holder: TicketHolder | undefined;
  readonly #deps: SessionDependencies;
  readonly #subscriptions = new Map<string, { channel: Channel; subscription: Subscription }>();
  readonly #behind = new Set<Subscription>();
  /** What the client said is taken one by one, in its order. */
  #said: Promise<void> = Promise.resolve();
  #saidWaiting = 0;
  #behindSinceMs = 0;
  #secondStartedMs = 0;
  #messagesThisSecond = 0;
  #alive = true;
  #nextPingMs: number;
  #expiry: NodeJS.Timeout | undefined;

  /** `stream`: the connection below the socket. */
  constructor(socket: WebSocket, stream: Duplex, holder: TicketHolder | undefined, deps: SessionDependencies) {
    this.#socket = socket;
    this.#stream = stream;
    this.#holder = holder;
    this.#deps = deps;
    // Anywhere in the first period, so that sockets which came together are not pinged together.
    this.#nextPingMs = performance.now() + Math.random() * deps.limits.heartbeatMs;
    if (holder) {
      const expire = () => this.close(CLOSE.policy, "token expired", "token_expired");
      this.#expiry = setTimeout(expire, Math.max(0, holder.expiresAtMs - Date.now()));
      this.#expiry.unref();
    }
    socket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    socket.on("ping", () => this.#mayReceive());
    socket.on("pong", () => {
      this.#alive = true;
    });
    // Broken frames and connections: ws closes the socket, with the code that says why.
    socket.on("error", () => undefined);
    socket.once("close", () => this.#end());
  }

  get isBehind(): boolean {
    return this.#socket.bufferedAmount > this.#deps.limits.behindBytes;
  }

  write(message: string | Buffer): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > this.#deps.limits.unsentBytesMax) {
      this.close(CLOSE.tryLater, "too slow", "slow");
      return;
    }
    this.#deps.counters.sent += 1;
    this.#hold();
    this.#socket.send(message, { binary: false });
    if (this.#socket.bufferedAmount > HELD_BYTES_MAX) this.#release();
  }

  fellBehind(subscription: Subscription): void {
    this.#deps.counters.skipped += 1;
    if (this.#behind.size === 0) {
      this.#behindSinceMs = performance.now();
      this.#deps.onBehind(this);
    }
    this.#behind.add(subscription);
  }

  /** Catches up as far as there is room. @returns whether it is done with being behind */
  drain(nowMs: number): boolean {
    if (this.#behind.size === 0 || this.#socket.readyState !== this.#socket.OPEN) return true;
    if (nowMs - this.#behindSinceMs > this.#deps.limits.behindMsMax) {
      this.close(CLOSE.tryLater, "too slow", "slow");
      return true;
    }
    for (const subscription of [...this.#behind]) {
      // Half empty at least: at the bound it would fall behind again with the next state.
      if (this.#socket.bufferedAmount > this.#deps.limits.behindBytes / 2) return false;
      this.#behind.delete(subscription);
      subscription.catchUp();
    }
    return this.#behind.size === 0;
  }

  /** Pings when it is time; a socket that has not answered the last ping is dead, and dropped. */
  heartbeat(nowMs: number): void {
    if (nowMs < this.#nextPingMs) return;
    if (!this.#alive) {
      this.#deps.counters.closed.dead += 1;
      this.#socket.terminate();
      return;
    }
    this.#alive = false;
    this.#nextPingMs = nowMs + this.#deps.limits.heartbeatMs;
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  close(code: number, reason: string, cause: CloseCause): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#deps.counters.closed[cause] += 1;
    this.#socket.close(code, reason);
    // One that does not read will not answer either.
    const timer = setTimeout(() => this.#socket.terminate(), this.#deps.limits.closeMsMax);
    timer.unref();
    this.#socket.once("close", () => clearTimeout(timer));
    this.#leaveAll();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN || !this.#mayReceive()) return;
    if (isBinary) {
      this.close(CLOSE.textOnly, "text only", "binary");
      return;
    }
    let named: string | undefined;
    try {
      const message = parseClientMessage(data.toString());
      named = "channel" in message ? message.channel : undefined;
      this.#handle(message);
    } catch (error) {
      this.#refuse(error, named);
    }
  }

  #hold(): void {
    if (this.#holding) return;
    this.#holding = true;
    this.#stream.cork();
    process.nextTick(() => this.#release());
  }

  #release(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#stream.uncork();
  }

  /** Counts a message or ping; the first one too many of a second is answered, the others are dropped. */
  #mayReceive(): boolean {
    const { messagesPerSecondMax } = this.#deps.limits;
    const nowMs = performance.now();
    if (nowMs - this.#secondStartedMs >= SECOND_MS) {
      this.#secondStartedMs = nowMs;
      this.#messagesThisSecond = 0;
    }
    this.#messagesThisSecond += 1;
    if (this.#messagesThisSecond <= messagesPerSecondMax) return true;
    if (this.#messagesThisSecond === messagesPerSecondMax + 1) {
      this.write(errorMessage("RATE_LIMITED", `At most ${messagesPerSecondMax} messages a second.`));
    }
    if (this.#messagesThisSecond > messagesPerSecondMax * FLOOD_FACTOR) {
      this.close(CLOSE.policy, "too many messages", "flood");
    }
    return false;
  }

  #handle(message: ClientMessage): void {
    switch (message.type) {
      case "ping":
        this.write(PONG);
        return;
      case "subscribe":
        void this.#subscribe(parseChannel(message.channel), message.since);
        return;
      case "unsubscribe":
        this.#unsubscribe(parseChannel(message.channel).name);
        return;
      case "message":
      case "typing":
      case "read":
        this.#say(parseChannel(message.channel), message);
        return;
      default:
        unreachable(message);
    }
  }

  #say(channel: Channel, said: Said): void {
    const feed = this.#deps.feeds[channel.kind];
    if (!feed.say) throw new OnrushError("VALIDATION", "Nothing can be said on this channel.");
    if (this.#saidWaiting >= this.#deps.limits.saidWaitingMax) {
      throw new OnrushError("OVERLOADED", "What you said before is not done with yet.");
    }
    this.#saidWaiting += 1;
    this.#said = this.#said.then(async () => {
      try {
        const subscription = this.#subscriptions.get(channel.name)?.subscription;
        await feed.say?.(channel.id, this.#holder?.identity, said, subscription);
      } catch (error) {
        this.#refuse(error, channel.name);
      } finally {
        this.#saidWaiting -= 1;
      }
    });
  }

  async #subscribe(channel: Channel, since: number | undefined): Promise<void> {
    const { feeds, limits, counters } = this.#deps;
    // Once more for the same channel starts it anew.
    this.#unsubscribe(channel.name);
    if (this.#subscriptions.size >= limits.subscriptionsMax) {
      const detail = `A connection may watch at most ${limits.subscriptionsMax} channels.`;
      this.write(errorMessage("RATE_LIMITED", detail, channel.name));
      return;
    }
    const subscription = new Subscription(channel.name, this);
    this.#subscriptions.set(channel.name, { channel, subscription });
    counters.subscribed += 1;
    try {
      const caller = this.#holder?.identity;
      await feeds[channel.kind].subscribe({ id: channel.id, caller, since }, subscription);
    } catch (error) {
      if (!subscription.isOpen) return;
      this.#unsubscribe(channel.name);
      this.#refuse(error, channel.name);
    }
  }

  #unsubscribe(channelName: string): void {
    const entry = this.#subscriptions.get(channelName);
    if (!entry) return;
    const { channel, subscription } = entry;
    this.#subscriptions.delete(channelName);
    this.#behind.delete(subscription);
    this.#deps.counters.subscribed -= 1;
    subscription.end();
    this.#deps.feeds[channel.kind].unsubscribe(channel.id, subscription);
  }

  #refuse(error: unknown, channelName: string | undefined): void {
    const refusal = refusalOf(error);
    if (refusal) {
      this.write(errorMessage(refusal.code, refusal.message, channelName));
      return;
    }
    this.#deps.log.error({ err: error }, "a message failed on an error nobody expected");
    const defect = new OnrushError("INTERNAL", "The message could not be handled.");
    this.write(errorMessage(defect.code, defect.message, channelName));
  }

  #leaveAll(): void {
    for (const channelName of [...this.#subscriptions.keys()]) this.#unsubscribe(channelName);
  }

  #end(): void {
    clearTimeout(this.#expiry);
    this.#leaveAll();
  }
}

// What may be done in support threads, the same over HTTP and WebSocket: bounded by author, written to Postgres, and told
// to all processes.
import type { Redis } from "ioredis";
import type pg from "pg";
import type { Logger } from "../../engine/log.ts";
import { type NewMessage, type Posted, postMessage } from "../../engine/support/messages.ts";
import { publishSupport, type SupportNotice } from "../../engine/support/notices.ts";
import type { Participant, Thread, ThreadState } from "../../engine/support/thread.ts";
import { markThreadRead, openThread, setThreadState } from "../../engine/support/threads.ts";
import { isOperator } from "../auth/access.ts";
import type { Identity } from "../auth/tokens.ts";
import type { RateLimits } from "../http/rate-limits.ts";

export interface SupportDeskDependencies {
  readonly pool: pg.Pool;
  /** The cache's Redis: it may be away, then who watches finds out by comparing versions. */
  readonly redis: Redis;
  readonly log: Logger;
  readonly limits: Pick<RateLimits, "message">;
}

export class SupportDesk {
  readonly #deps: SupportDeskDependencies;

  constructor(deps: SupportDeskDependencies) {
    this.#deps = deps;
  }

  /** Opens a thread with its first message. @throws OnrushError with `RATE_LIMITED` or `LIMIT_EXCEEDED` */
  async open(customerId: string, subject: string, text: string): Promise<Thread> {
    this.#deps.limits.message(customerId);
    const thread = await openThread(this.#deps.pool, { customerId, subject, text });
    await this.#moved(thread);
    return thread;
  }

  /** Adds a message. @throws OnrushError with `RATE_LIMITED`, `NOT_FOUND` or `INVALID_STATE` */
  async post(author: Participant, message: NewMessage): Promise<Posted> {
    this.#deps.limits.message(author.id);
    const posted = await postMessage(this.#deps.pool, author, message);
    if (!posted.isReplayed) await this.#moved({ id: message.threadId, version: posted.message.version });
    return posted;
  }

  /** Notes how far the participant's side has read. @throws OnrushError with `NOT_FOUND` */
  async markRead(participant: Participant, threadId: string, version: number): Promise<Thread> {
    const thread = await markThreadRead(this.#deps.pool, threadId, participant, version);
    await this.#moved(thread);
    return thread;
  }

  /** Closes a thread or opens it again. @throws OnrushError with `NOT_FOUND` */
  async setState(participant: Participant, threadId: string, state: ThreadState): Promise<Thread> {
    const thread = await setThreadState(this.#deps.pool, threadId, participant, state);
    await this.#moved(thread);
    return thread;
  }

  /** Tells all processes; what cannot be told they find by themselves, or do without. */
  async tell(notice: SupportNotice): Promise<void> {
    const { redis, log } = this.#deps;
    await publishSupport(redis, notice).catch((error) => log.warn({ err: error }, "support could not be told of"));
  }

  async #moved({ id, version }: Pick<Thread, "id" | "version">): Promise<void> {
    await this.tell({ type: "moved", id, version });
  }
}

export function participantOf(identity: Identity): Participant {
  return { id: identity.customerId, isAgent: isOperator(identity) };
}

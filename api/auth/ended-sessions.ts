// How processes learn that a session or an API key has ended: told over Redis at once, and by asking Postgres now and then,
// as what is told may be lost.
import type { Redis } from "ioredis";
import type pg from "pg";
import { z } from "zod";
import { CHANNELS } from "../../engine/keys.ts";
import type { Logger } from "../../engine/log.ts";
import { listEnded } from "../../engine/members/sessions.ts";
import { ENDED_KEPT_SECONDS, type Tokens } from "./tokens.ts";

const ASK_INTERVAL_MS = 2_000;
const message = z.array(z.string().max(64)).max(10_000);

export interface EndedSessions {
  /** Takes a message of `CHANNELS.sessions`; one that cannot be read is left to the next look at Postgres. */
  hear(text: string): void;
  stop(): void;
}

/** Resolves once everything that ended before is known. */
export async function watchEndedSessions(pool: pg.Pool, tokens: Tokens, log: Logger): Promise<EndedSessions> {
  tokens.end(await listEnded(pool, ENDED_KEPT_SECONDS));
  let askedAtMs = Date.now();
  let asking = false;
  const ask = async () => {
    if (asking) return;
    asking = true;
    try {
      const startedAtMs = Date.now();
      const sinceSeconds = Math.ceil((startedAtMs - askedAtMs + 3 * ASK_INTERVAL_MS) / 1_000);
      tokens.end(await listEnded(pool, Math.min(sinceSeconds, ENDED_KEPT_SECONDS)));
      askedAtMs = startedAtMs;
    } catch (error) {
      log.warn({ err: error }, "ended sessions could not be asked for");
    } finally {
      asking = false;
    }
  };
  const timer = setInterval(ask, ASK_INTERVAL_MS);
  return {
    hear(text) {
      try {
        tokens.end(message.parse(JSON.parse(text)));
      } catch {
        void ask();
      }
    },
    stop: () => clearInterval(timer),
  };
}

/** Tells all processes, this one first. What cannot be told they find by themselves. */
export async function tellEnded(redis: Redis, tokens: Tokens, ids: readonly string[], log: Logger): Promise<void> {
  if (ids.length === 0) return;
  tokens.end(ids);
  await redis
    .publish(CHANNELS.sessions, JSON.stringify(ids))
    .catch((error) => log.warn({ err: error }, "ended sessions could not be told"));
}

// Redis connections, one kind for each use. The client library's own re-sending is off on the order path: it ran one
// script twice after a cut. Asking again is the batcher's decision, under the same order ids.
import { Redis } from "ioredis";

const RECONNECT_DELAY_MS_MAX = 1_000;

const COMMON = {
  lazyConnect: true,
  connectTimeout: 3_000,
  keepAlive: 10_000,
  noDelay: true,
  retryStrategy: (attempt: number) => Math.min(50 * attempt, RECONNECT_DELAY_MS_MAX),
};

/** For scripts: fails at once while disconnected, never re-sends, gives up on an answer after `commandTimeoutMs`. */
export function commandConnection(url: string, commandTimeoutMs: number): Redis {
  return new Redis(url, {
    ...COMMON,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
  });
}

/**
 * How long beyond its own `BLOCK` a blocking read is waited for. The client library then answers "nothing" by itself, while
 * the server may have handed entries out: its default of 100 ms lost them on a busy machine.
 */
export const BLOCKING_GRACE_MS = 2_000;

/** For blocking reads: a connection of its own, on which a silent server is noticed. */
export function blockingConnection(url: string, blockMsMax: number): Redis {
  return new Redis(url, {
    ...COMMON,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    blockingTimeout: blockMsMax + BLOCKING_GRACE_MS,
    blockingTimeoutGrace: BLOCKING_GRACE_MS,
  });
}

/** For publish and subscribe: subscriptions are taken up again after a reconnect. */
export function subscriberConnection(url: string): Redis {
  return new Redis(url, { ...COMMON, maxRetriesPerRequest: null, autoResubscribe: true });
}

/** Connects, and resolves when commands can be sent. */
export async function connect(redis: Redis): Promise<void> {
  if (redis.status === "wait") await redis.connect();
}

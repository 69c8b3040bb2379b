// Queues that can be paused while the worker runs: a paused one is not read, and its jobs wait where they are. What is under
// way is finished.
import { setTimeout as sleep } from "node:timers/promises";
import type { PgBoss } from "pg-boss";
import type { Logger } from "../../engine/log.ts";
import type { QueueName } from "../../engine/outbox/queues.ts";

const RETRY_MS = 1_000;

export interface Consumer {
  /** Reads the queue, or lets it be, from now on. */
  pause(isPaused: boolean): void;
  /** Resolves when the queue is read, or let be, as was last asked for. */
  settled(): Promise<void>;
  /** Nothing is begun any more. */
  stop(): void;
}

/** Begins with the first word about it. @param begin starts to read the queue */
export function openConsumer(boss: PgBoss, queue: QueueName, log: Logger, begin: () => Promise<unknown>): Consumer {
  let shallRead = true;
  let reads = false;
  let wasRead = false;
  let stopped = false;
  let moving: Promise<void> | undefined;

  async function move(): Promise<void> {
    while (reads !== shallRead && !stopped) {
      const next = shallRead;
      try {
        if (next) await begin();
        else await boss.offWork(queue);
        reads = next;
        if (wasRead || !next) log.info({ queue, paused: !next }, next ? "a queue is read again" : "a queue is paused");
        wasRead = true;
      } catch (err) {
        log.warn({ err, queue }, "a queue could not be paused or read; it is tried again");
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  function settled(): Promise<void> {
    moving ??= move().finally(() => {
      moving = undefined;
    });
    return moving;
  }

  return {
    pause(isPaused) {
      shallRead = !isPaused;
      void settled();
    },
    settled,
    stop() {
      stopped = true;
    },
  };
}

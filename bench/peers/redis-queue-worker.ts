// The queue's other side: a worker in a process of its own that writes each job's order to Postgres. A job may come twice,
// and its id is the order's, so it is written once.
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import { onOrder, report } from "../own-process.ts";
import { insertOrder, type OrderBody, poolOf, transaction } from "./order.ts";
import { QUEUE } from "./queue.ts";

interface WorkerOrder {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly concurrency: number;
  /** For how long a job is its worker's after a sign of life. */
  readonly lockMs: number;
}

onOrder<WorkerOrder>(async ({ redisUrl, databaseUrl, concurrency, lockMs }) => {
  const pool = poolOf(databaseUrl, concurrency);
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  redis.on("error", () => undefined); // the command on it rejects
  const worker = new Worker<OrderBody>(
    QUEUE,
    async ({ id, data }) => {
      if (id === undefined) throw new Error("a job without an id");
      await transaction(pool, async (client) => {
        await insertOrder(client, id, data);
        return true;
      });
    },
    { connection: redis, concurrency, lockDuration: lockMs, stalledInterval: lockMs, maxStalledCount: 10 },
  );
  worker.on("error", () => undefined); // a job that fails comes again
  await worker.waitUntilReady();
  report({});
});

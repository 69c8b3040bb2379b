// A counter in Redis as the guard, and a job an order: DECRBY says whether there is a unit, BullMQ keeps the order until a
// worker has written it to Postgres. Accepted means that the job is in Redis.
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { onOrder } from "../own-process.ts";
import { type PeerVerdict, serveOrders } from "./child-server.ts";
import { inLockOrder, type Line, type OrderBody } from "./order.ts";
import { counterOf, QUEUE } from "./queue.ts";

/** Half a minute without Postgres; what failed more often than that waits for an operator. */
const ATTEMPTS_MAX = 60;
const RETRY_MS = 500;

onOrder<{ redisUrl: string }>(({ redisUrl }) => {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  redis.on("error", () => undefined); // the command on it rejects
  const queue = new Queue<OrderBody>(QUEUE, {
    connection: redis,
    defaultJobOptions: {
      removeOnComplete: true,
      attempts: ATTEMPTS_MAX,
      backoff: { type: "fixed", delay: RETRY_MS },
    },
  });
  queue.on("error", () => undefined); // the call on it rejects
  serveOrders((id, body) => place(redis, queue, id, body));
});

async function place(redis: Redis, queue: Queue<OrderBody>, id: string, body: OrderBody): Promise<PeerVerdict> {
  const taken: Line[] = [];
  for (const line of inLockOrder(body.items)) {
    taken.push(line);
    if ((await redis.decrby(counterOf(line.productId), line.quantity)) >= 0) continue;
    await giveBack(redis, taken);
    return "SOLD_OUT";
  }
  try {
    await queue.add("order", body, { jobId: id });
  } catch (error) {
    await giveBack(redis, taken);
    throw error;
  }
  return "ACCEPTED";
}

async function giveBack(redis: Redis, lines: readonly Line[]): Promise<void> {
  for (const { productId, quantity } of lines) await redis.incrby(counterOf(productId), quantity);
}

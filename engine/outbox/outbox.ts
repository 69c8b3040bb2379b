// The outbox: jobs written on the same connection as the rows that make them necessary, so that both commit or neither.
import type { ClientBase } from "pg";
import { type InsertOptions, PgBoss } from "pg-boss";
import { type JobPayloads, ORDERS_PER_JOB_MAX, type OrderQueue, type OtherQueue } from "./queues.ts";

export interface Outbox {
  /** Enqueues work for the orders, at most 64 a job, within the client's transaction. No orders: nothing happens. */
  enqueue(client: ClientBase, queue: OrderQueue, orderIds: readonly string[]): Promise<void>;
  /** Enqueues one job of another kind within the client's transaction. */
  send<Queue extends OtherQueue>(client: ClientBase, queue: Queue, job: JobPayloads[Queue]): Promise<void>;
  close(): Promise<void>;
}

/** Opens a sender that needs one connection of its own for pg-boss' queue cache. */
export async function openOutbox(databaseUrl: string, onError: (error: Error) => void): Promise<Outbox> {
  const boss = new PgBoss({
    connectionString: databaseUrl,
    max: 1,
    supervise: false,
    schedule: false,
    migrate: false,
    createSchema: false,
  });
  boss.on("error", onError);
  await boss.start();
  return {
    async enqueue(client, queue, orderIds) {
      if (orderIds.length === 0) return;
      const jobs: { data: JobPayloads[OrderQueue] }[] = [];
      for (let from = 0; from < orderIds.length; from += ORDERS_PER_JOB_MAX) {
        jobs.push({ data: { orderIds: orderIds.slice(from, from + ORDERS_PER_JOB_MAX) } });
      }
      await boss.insert(queue, jobs, on(client));
    },
    async send(client, queue, job) {
      await boss.insert(queue, [{ data: job }], on(client));
    },
    close: () => boss.stop({ graceful: false }),
  };
}

/** Where a job is written: the caller's own transaction. */
function on(client: ClientBase): InsertOptions {
  return { db: { executeSql: (text, values) => client.query(text, values as unknown[]) } };
}

// Processor time of what orders go through: Redis' main thread, the persister and its Postgres connections. The engine's own is told
// by the program that uses it. Processor time, because a shared machine makes a second mean little.
import { Redis } from "ioredis";
import type { Books } from "./books.ts";
import type { Instance } from "./instance.ts";
import { cpuSecondsOf } from "./machine.ts";

/** Seconds of processor time. */
export interface Spent {
  readonly redis: number;
  readonly persister: number;
  readonly postgres: number;
}

/** Microseconds an order. */
export interface OrderCost {
  readonly engineUs: number;
  readonly redisUs: number;
  readonly persisterUs: number;
  readonly postgresUs: number;
}

/** @param engineSeconds of the program that placed the orders */
export function costOf(orders: number, before: Spent, after: Spent, engineSeconds: number): OrderCost {
  const us = (seconds: number) => (seconds / orders) * 1e6;
  return {
    engineUs: us(engineSeconds),
    redisUs: us(after.redis - before.redis),
    persisterUs: us(after.persister - before.persister),
    postgresUs: us(after.postgres - before.postgres),
  };
}

/** Reads processor time so far. */
export class OrderMeter {
  readonly #redis: Redis;
  readonly #persisterPid: number;
  readonly #books: Books;
  /** Of the persister's Postgres connections, which live as long as it does. */
  #backendPids: readonly number[] = [];

  private constructor(redis: Redis, persisterPid: number, books: Books) {
    this.#redis = redis;
    this.#persisterPid = persisterPid;
    this.#books = books;
  }

  static async open({ redisUrl, pids }: Instance, books: Books): Promise<OrderMeter> {
    const redis = new Redis(redisUrl);
    redis.on("error", () => undefined); // the command on it rejects
    return new OrderMeter(redis, pids["persister"] ?? 0, books);
  }

  async read(): Promise<Spent> {
    const backends = await this.#books.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'onrush-persister'",
    );
    const known = new Set(this.#backendPids);
    // A connection that was opened meanwhile has spent its time since; one that was closed is not counted any more.
    this.#backendPids = [...known, ...backends.map(({ pid }) => pid).filter((pid) => !known.has(pid))];
    const cpu = await this.#redis.info("cpu");
    const seconds = (field: string) => Number(new RegExp(`${field}:([\\d.]+)`).exec(cpu)?.[1] ?? Number.NaN);
    return {
      redis: seconds("used_cpu_user_main_thread") + seconds("used_cpu_sys_main_thread"),
      persister: cpuSecondsOf(this.#persisterPid) ?? Number.NaN,
      postgres: this.#backendPids.reduce((sum, pid) => sum + (cpuSecondsOf(pid) ?? 0), 0),
    };
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}

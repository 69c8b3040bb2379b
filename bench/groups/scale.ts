// What an order costs when its sale has had a thousand orders, and when it has had a million: processor time of the engine,
// of Redis' main thread, of the persister and of its Postgres connections, over windows of orders that are placed and then
// applied. Processor time, because a shared machine makes a second mean little.
import { Redis } from "ioredis";
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied } from "../draining.ts";
import type { Figure } from "../figures.ts";
import type { Instance } from "../instance.ts";
import { cpuSecondsOf } from "../machine.ts";
import type { Sale, Shop } from "../shop.ts";
import { placeOrders, startProgram } from "./expiry.ts";

const WINDOW_ORDERS = 5_000;
const WINDOWS_PER_DEPTH = 4;
const WARM_UP_ORDERS = 30_000;
/** The figures' names end like this. */
const DEPTHS = { "1k": 1_000, "10k": 10_000, "100k": 100_000, "1m": 1_000_000 } as const;
type Depth = keyof typeof DEPTHS;

/** Seconds of processor time. */
interface Spent {
  readonly engine: number;
  readonly redis: number;
  readonly persister: number;
  readonly postgres: number;
}

export async function measureScale(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const depths = (Object.keys(DEPTHS) as Depth[]).filter((name) => DEPTHS[name] <= context.options.depthOrdersMax);
  const warmUp = await shop.openSale("bench scale warm-up");
  const deep = await shop.openSale("bench scale");
  const shallow: Sale[] = [];
  for (let i = 0; i < 2 * WINDOWS_PER_DEPTH; i += 1) shallow.push(await shop.openSale(`bench scale shallow ${i}`));
  const books = new Books(instance);
  const meter = await Meter.open(instance, books);
  const program = await startProgram(instance); // after the sales: it reads them when it starts
  let placed = 0;
  const place = async (sale: Sale, orders: number) => {
    const report = await placeOrders(program, sale, orders, true);
    await untilApplied(books, [sale]);
    if (sale === deep) placed += report.placed;
    return report;
  };
  const window = async (depth: Depth, sale: Sale) => {
    const before = await meter.read();
    const { cpuSeconds } = await place(sale, WINDOW_ORDERS);
    record(context, depth, before, await meter.read(), cpuSeconds);
  };
  // A thousand orders are too few for several windows: each has a sale of its own, half of them at the very end.
  const shallowWindows = async (sales: readonly Sale[]) => {
    for (const sale of sales) {
      await place(sale, DEPTHS["1k"]);
      await window("1k", sale);
    }
  };
  try {
    await place(warmUp, WARM_UP_ORDERS);
    await shallowWindows(shallow.slice(0, WINDOWS_PER_DEPTH));
    for (const depth of depths.slice(1)) {
      if (DEPTHS[depth] > placed) await place(deep, DEPTHS[depth] - placed);
      for (let i = 0; i < WINDOWS_PER_DEPTH; i += 1) await window(depth, deep);
    }
    await shallowWindows(shallow.slice(WINDOWS_PER_DEPTH));
    for (const sale of [deep, ...shallow]) {
      const tally = { answered: 0, sent: Number.MAX_SAFE_INTEGER };
      context.audit("scale", await books.auditAdmission(sale, tally));
      context.audit("scale, in the ledger", await books.auditLedger(sale, tally));
    }
  } finally {
    await Promise.all([program.stop(), meter.close(), books.close()]);
  }
}

function record(context: Context, depth: Depth, before: Spent, after: Spent, engineSeconds: number): void {
  const us = (seconds: number) => (seconds / WINDOW_ORDERS) * 1e6;
  const redis = us(after.redis - before.redis);
  const persister = us(after.persister - before.persister);
  const postgres = us(after.postgres - before.postgres);
  const figures: readonly (readonly [Figure, number])[] = [
    [`cost_admission_${depth}_us`, us(engineSeconds) + redis],
    [`cost_persister_${depth}_us`, persister + postgres],
    [`cost_${depth}_us`, us(engineSeconds) + redis + persister + postgres],
  ];
  for (const [figure, value] of figures) context.record("scale", figure, value);
  context.point("depth", {
    orders: DEPTHS[depth],
    admissionUs: us(engineSeconds) + redis,
    persisterUs: persister + postgres,
  });
  const parts = { engine: us(engineSeconds), redis, persister, postgres };
  context.note(
    `    ${JSON.stringify(parts, (_key, value) => (typeof value === "number" ? Math.round(value) : value))}`,
  );
}

/** Reads processor time so far. */
class Meter {
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

  static async open({ redisUrl, pids }: Instance, books: Books): Promise<Meter> {
    const redis = new Redis(redisUrl);
    redis.on("error", () => undefined); // the command on it rejects
    return new Meter(redis, pids["persister"] ?? 0, books);
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
      engine: 0,
      redis: seconds("used_cpu_user_main_thread") + seconds("used_cpu_sys_main_thread"),
      persister: cpuSecondsOf(this.#persisterPid) ?? Number.NaN,
      postgres: this.#backendPids.reduce((sum, pid) => sum + (cpuSecondsOf(pid) ?? 0), 0),
    };
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}

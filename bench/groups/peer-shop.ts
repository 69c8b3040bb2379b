// A peer as a whole: its processes over its database and, where it has one, its Redis; its stock, and what it says was taken.
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import type { Faults, Tally } from "../books.ts";
import { type Child, startChild } from "../children.ts";
import { counterOf, QUEUE } from "../peers/queue.ts";
import { AMPLE } from "../shop.ts";
import { PeerDatabase } from "./peer-database.ts";

export const PEERS = ["pg_row", "pg_skip_locked", "redis_lock", "bullmq"] as const;
export type PeerName = (typeof PEERS)[number];

export interface PeerServers {
  /** Of any database of the server. */
  readonly databaseUrl: string;
  /** For those that have one. */
  readonly redisUrl: string;
}

/** What a pool size can be, where there is something to choose. */
export const POOL_SIZES: Readonly<Record<PeerName, readonly number[]>> = {
  pg_row: [8, 16, 32],
  pg_skip_locked: [8, 16, 32],
  redis_lock: [8],
  bullmq: [32],
};

/** A job of a worker that died is another's after this; BullMQ's own is 30 s. */
const JOB_LOCK_MS = 5_000;
/** More than any machine sells in a second of a burst, for the peer that needs a row for each. */
const UNITS_PER_SECOND = 10_000;

export class PeerShop {
  readonly name: PeerName;
  readonly #servers: PeerServers;
  readonly #database: PeerDatabase;
  readonly #redis: Redis;
  readonly #stock: number;
  #processes: Child<{ url: string }>[] = [];

  private constructor(name: PeerName, servers: PeerServers, database: PeerDatabase, stock: number) {
    this.name = name;
    this.#stock = stock;
    this.#servers = servers;
    this.#database = database;
    this.#redis = new Redis(servers.redisUrl, { lazyConnect: true });
    this.#redis.on("error", () => undefined); // the command on it rejects
  }

  /** A database of its own and its stock; no processes yet. Where units are rows, `stockUp` makes those of an ample stock. */
  static async create(
    name: PeerName,
    servers: PeerServers,
    productId: string,
    databaseName: string = name,
    stock: number = AMPLE,
  ): Promise<PeerShop> {
    const database = await PeerDatabase.create(servers.databaseUrl, `bench_${databaseName}`, productId);
    const shop = new PeerShop(name, servers, database, stock);
    await database.setAvailable(stock);
    if (name === "bullmq") await shop.#redis.set(counterOf(productId), stock);
    if (name === "pg_skip_locked" && stock < AMPLE) await database.addUnitsUntilFree(stock);
    return shop;
  }

  get database(): PeerDatabase {
    return this.#database;
  }

  /** Where it takes orders; undefined while it does not run. */
  get url(): string | undefined {
    return this.#processes[0]?.ready.url;
  }

  /** Of the process that takes orders. */
  get pid(): number | undefined {
    return this.#processes[0]?.pid;
  }

  async start(poolSize: number): Promise<void> {
    const { redisUrl } = this.#servers;
    const databaseUrl = this.#database.url;
    switch (this.name) {
      case "pg_row":
        return this.#run("peers/postgres-row.ts", { databaseUrl, connectionsMax: poolSize });
      case "pg_skip_locked":
        return this.#run("peers/postgres-units.ts", { databaseUrl, connectionsMax: poolSize });
      case "redis_lock":
        return this.#run("peers/redis-lock.ts", { databaseUrl, redisUrl });
      case "bullmq":
        await this.#run("peers/redis-queue.ts", { redisUrl });
        return this.#run("peers/redis-queue-worker.ts", {
          redisUrl,
          databaseUrl,
          concurrency: poolSize,
          lockMs: JOB_LOCK_MS,
        });
    }
  }

  async #run(module: string, order: object): Promise<void> {
    this.#processes.push(await startChild<{ url: string }>(module, order));
  }

  /** Units for a burst of so many seconds, where they are rows. */
  async stockUp(seconds: number): Promise<void> {
    if (this.name === "pg_skip_locked") await this.#database.addUnitsUntilFree(seconds * UNITS_PER_SECOND);
  }

  async stopProcesses(): Promise<void> {
    await Promise.all(this.#processes.splice(0).map((child) => child.stop()));
    await this.#database.untilUnused();
  }

  /** kill -9 of all its processes; its servers are somebody else's. */
  async killProcesses(): Promise<void> {
    const killed = this.#processes.splice(0);
    for (const { pid } of killed) process.kill(pid, "SIGKILL");
    await Promise.all(killed.map((child) => child.stop())); // gone when it returns
  }

  /** Orders that wait for a worker, or are with one. */
  async underWay(): Promise<number> {
    if (this.name !== "bullmq") return 0;
    const queue = new Queue(QUEUE, { connection: this.#redis });
    const counts = await queue.getJobCounts("waiting", "active", "delayed", "prioritized");
    await queue.close();
    return Object.values(counts).reduce((sum, jobs) => sum + jobs, 0);
  }

  async stop(): Promise<void> {
    await this.stopProcesses();
    this.#redis.disconnect();
    await this.#database.close();
  }

  /** Units that its stock says are gone. */
  async taken(): Promise<number> {
    switch (this.name) {
      case "pg_row":
      case "redis_lock":
        return this.#stock - (await this.#database.available());
      case "pg_skip_locked":
        return this.#database.unitsTaken();
      case "bullmq":
        return this.#stock - Number(await this.#redis.get(counterOf(this.#database.productId)));
    }
  }

  /** Its books, counted like Onrush's. */
  async audit({ answered }: Tally): Promise<Faults> {
    const [{ orders, buyers, units }, taken] = await Promise.all([this.#database.sold(), this.taken()]);
    return {
      oversold: Math.max(0, units - taken),
      lost: Math.max(0, answered - orders, orders - units),
      duplicated: orders - buyers,
    };
  }
}

// A replica of a chaos run's Redis, which follows it through a proxy of its own and can be made what everybody talks to.
import path from "node:path";
import { Redis } from "ioredis";
import { redisServer } from "../../runtime/embedded/redis.ts";
import type { RedisPasswords } from "../../runtime/embedded/redis-acl.ts";
import { freePort, untilReady } from "../../runtime/embedded/server.ts";
import type { Lifeline } from "../support/faults/lifeline.ts";
import { FaultProcess } from "../support/faults/process.ts";
import type { FaultProxy } from "../support/faults/proxy.ts";
import { until } from "./faults/fault.ts";

export interface Replica {
  readonly process: FaultProcess;
  /** Bytes of the replication stream that it has. */
  offset(): Promise<number>;
  /** Ends its being a replica, and leads every path to it. */
  promote(): Promise<void>;
}

export interface ReplicaPlace {
  readonly folder: string;
  readonly logFile: string;
  readonly passwords: RedisPasswords;
  readonly lifeline: Lifeline;
  readonly paths: Readonly<Record<string, FaultProxy>>;
}

const SYNC_TIMEOUT_MS = 30_000;

export async function startReplica({ folder, logFile, passwords, lifeline, paths }: ReplicaPlace): Promise<Replica> {
  const port = await freePort();
  const spec = redisServer({
    directory: path.join(folder, "replica"),
    logFile,
    port,
    passwords,
    settings: [
      `replicaof 127.0.0.1 ${paths["replica>redis"]?.port}`,
      "masteruser onrush_admin",
      `masterauth ${passwords.onrush_admin}`,
    ],
  });
  const process = new FaultProcess({ ...spec, ready: (child) => untilReady(spec, child) }, lifeline);
  await process.start();
  const info = async () => {
    const client = new Redis(spec.urlOf("onrush_admin"), { lazyConnect: true, retryStrategy: () => null });
    client.on("error", () => undefined); // it also fails the call
    try {
      await client.connect();
      return { text: await client.info("replication"), client };
    } catch (error) {
      client.disconnect();
      throw error;
    }
  };
  const read = async () => {
    const { text, client } = await info();
    client.disconnect();
    return text;
  };
  if (!(await until(async () => (await read()).includes("master_link_status:up"), SYNC_TIMEOUT_MS))) {
    await process.down("SIGKILL");
    throw new Error(`The replica did not come into step with Redis; see ${logFile}`);
  }
  return {
    process,
    offset: async () => Number(/slave_repl_offset:(\d+)/.exec(await read())?.[1] ?? 0),
    async promote() {
      const { client } = await info();
      await client.replicaof("NO", "ONE");
      client.disconnect();
      for (const [name, proxy] of Object.entries(paths)) {
        if (name.endsWith(">redis") && name !== "replica>redis") proxy.redirect(port);
      }
    },
  };
}

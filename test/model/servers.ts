// Servers of its own for a run from the command line: a Redis and a Postgres that need not survive anything.
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { migrate } from "../../persister/migrate.ts";
import { ensureDatabase, postgresServer } from "../../runtime/embedded/postgres.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { launch } from "../support/launch.ts";
import { startTestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";

const TEMPLATE = "model_template";

export interface ModelServers {
  readonly redisUrl: string;
  readonly databaseUrls: readonly string[];
  stop(): Promise<void>;
}

/** @param databases how many migrated databases are needed */
export async function startModelServers(databases: number): Promise<ModelServers> {
  const directory = scratchFolder("model");
  const server = postgresServer({
    directory: path.join(directory, "data"),
    logFile: path.join(directory, "postgres.log"),
    port: await freePort(),
    password: randomUUID(),
    instanceId: path.basename(directory),
    durable: false,
  });
  const postgres = await launch(server);
  const redis = await startTestRedis({ appendfsync: "no", settings: ["appendonly no"] });
  const stop = async () => {
    await Promise.all([postgres.stop(), redis.stop()]);
    rmSync(server.dataDirectory, { recursive: true, force: true });
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await migrate(await ensureDatabase(server, TEMPLATE));
    const names = Array.from({ length: databases }, (_, i) => `model_${i}`);
    await createDatabases(server.urlOf("postgres"), names);
    return { redisUrl: redis.url, databaseUrls: names.map((name) => server.urlOf(name)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createDatabases(url: string, names: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const name of names) await client.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  } finally {
    await client.end();
  }
}

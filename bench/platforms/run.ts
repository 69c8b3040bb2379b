// One platform after the other, each alone on the machine with a Postgres of its own.
import { createServer } from "node:net";
import pg from "pg";
import { startDurablePostgres } from "../../test/support/durable-postgres.ts";
import { buySteadily, type Rush, rush, type Steady } from "./buyers.ts";
import type { PlatformName, PlatformOptions } from "./command.ts";
import { install } from "./installation.ts";
import { medusa } from "./medusa/platform.ts";
import type { Place, Platform } from "./platform.ts";
import { startPlatform } from "./server.ts";
import { vendure } from "./vendure/platform.ts";

export interface PlatformReport {
  readonly platform: PlatformName;
  readonly version: string;
  /** One buyer alone, then many at a time. */
  readonly alone: Steady;
  readonly steady: Steady;
  readonly rush: Rush;
}

const PLATFORMS: Readonly<Record<PlatformName, Platform>> = { medusa, vendure };
/** One buyer's share of the time that many are given. */
const ALONE = 1 / 3;

export async function runPlatform(
  name: PlatformName,
  { dir, buyers, seconds, rushBuyers, rushUnits }: PlatformOptions,
  say: (line: string) => void,
): Promise<PlatformReport> {
  const platform = PLATFORMS[name];
  const directory = await install(platform, dir, say);
  const postgres = await startDurablePostgres();
  try {
    const place: Place = { directory, databaseUrl: await createDatabase(postgres, name), port: await freePort() };
    say(`Starting ${name} ${platform.version} ...`);
    const server = await startPlatform(platform, place);
    try {
      say(`${name}: one buyer, then ${buyers} at a time for ${seconds} s ...`);
      const alone = await buySteadily(server.shop, 1, Math.ceil(seconds * ALONE));
      const steady = await buySteadily(server.shop, buyers, seconds);
      say(`${name}: ${rushBuyers} buyers at once for ${rushUnits} units ...`);
      const rushed = await rush(server.shop, rushBuyers, rushUnits);
      return { platform: name, version: platform.version, alone, steady, rush: rushed };
    } finally {
      await server.stop();
    }
  } finally {
    await postgres.stop();
  }
}

async function createDatabase(postgres: { url: string; urlOf(name: string): string }, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
  return postgres.urlOf(name);
}

/** They cannot be told to choose one themselves and say which. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

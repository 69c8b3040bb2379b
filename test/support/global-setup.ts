// One Postgres for a whole test run, with a migrated database that test files clone. It is gone afterwards with
// everything in it, unless a test failed: then the databases of the failed files are left to be looked at.
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { migrate } from "../../persister/migrate.ts";
import { ensureDatabase, postgresServer } from "../../runtime/embedded/postgres.ts";
import { onFreePort } from "../../runtime/embedded/server.ts";
import { launch } from "./launch.ts";
import { scratchFolder } from "./scratch.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Connects to a maintenance database as superuser. */
    postgresUrl: string;
    /** Name of the migrated database to clone. */
    postgresTemplate: string;
  }
}

const TEMPLATE = "onrush_template";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = scratchFolder("postgres");
  const password = randomUUID();
  const { server, running } = await onFreePort(async (port) => {
    const server = postgresServer({
      directory: path.join(directory, "data"),
      logFile: path.join(directory, "postgres.log"),
      port,
      password,
      instanceId: path.basename(directory),
      durable: false,
    });
    return { server, running: await launch(server) };
  });
  const stop = async () => {
    await running.stop();
    rmSync(server.dataDirectory, { recursive: true, force: true });
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await migrate(await ensureDatabase(server, TEMPLATE));
  } catch (error) {
    await stop();
    throw error;
  }
  project.provide("postgresUrl", server.urlOf("postgres"));
  project.provide("postgresTemplate", TEMPLATE);
  return stop;
}

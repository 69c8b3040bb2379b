// A Postgres of its own that keeps what it commits (fsync as in production), for experiments that kill it.
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { postgresServer } from "../../runtime/embedded/postgres.ts";
import { onFreePort } from "../../runtime/embedded/server.ts";
import { launch, type RunningServer } from "./launch.ts";
import { scratchFolder } from "./scratch.ts";

export type DurablePostgres = {
  /** Of its maintenance database, as superuser. */
  url: string;
  urlOf(database: string): string;
  /** kill -9 of the postmaster; its children see that and go. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and data, after `kill`. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
};

/** Children of a killed postmaster hold its shared memory for a moment, and no other starts meanwhile. */
const STARTS_MAX = 50;
const RETRY_MS = 100;

export async function startDurablePostgres(): Promise<DurablePostgres> {
  const directory = scratchFolder("durable-postgres");
  const password = randomUUID();
  const first = await onFreePort(async (port) => {
    const server = postgresServer({
      directory: path.join(directory, "data"),
      logFile: path.join(directory, "postgres.log"),
      port,
      password,
      instanceId: path.basename(directory),
    });
    return { server, running: await launch(server) };
  });
  const { server } = first;
  let running: RunningServer | undefined = first.running;
  const end = async (how: "stop" | "kill") => {
    const ending = running;
    running = undefined;
    await ending?.[how]();
  };
  return {
    url: server.urlOf("postgres"),
    urlOf: server.urlOf,
    kill: () => end("kill"),
    restart: async () => {
      for (let tried = 1; running === undefined; tried += 1) {
        try {
          running = await launch(server);
        } catch (error) {
          if (tried === STARTS_MAX) throw error;
          await delay(RETRY_MS);
        }
      }
    },
    stop: async () => {
      await end("stop");
      rmSync(server.dataDirectory, { recursive: true, force: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

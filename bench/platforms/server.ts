// A platform's server process, on a database of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { endChild, track } from "../children.ts";
import type { Place, Platform, Shop } from "./platform.ts";

export interface PlatformServer {
  readonly pid: number;
  readonly shop: Shop;
  stop(): Promise<void>;
}

const PREPARATION_TIMEOUT_MS = 5 * 60_000;
const READY_TIMEOUT_MS = 3 * 60_000;
const POLL_MS = 250;
const LOG_TAIL_CHARACTERS = 2_000;

/** Prepares the database, starts the server and waits until it serves. @throws with the end of its log when it does not */
export async function startPlatform(platform: Platform, place: Place): Promise<PlatformServer> {
  const logFile = path.join(place.directory, "server.log");
  const log = openSync(logFile, "w");
  const run = (args: readonly string[], timeout?: number) =>
    track(
      spawn(process.execPath, args, {
        cwd: place.directory,
        stdio: ["ignore", log, log],
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...platform.environment(place) },
        timeout,
      }),
    );
  for (const step of platform.preparation) {
    const code = await exitOf(run(step, PREPARATION_TIMEOUT_MS));
    if (code !== 0) throw new Error(`${platform.name}: ${step.slice(1).join(" ")} failed:\n${tailOf(logFile)}`);
  }
  const child = run(platform.server);
  const stop = () => endChild(child);
  try {
    const endsAt = performance.now() + READY_TIMEOUT_MS;
    while (!(await platform.isUp(place))) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > endsAt) {
        throw new Error(`${platform.name} did not start:\n${tailOf(logFile)}`);
      }
      await delay(POLL_MS);
    }
    return { pid: child.pid ?? 0, shop: await platform.open(place), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
}

function tailOf(logFile: string): string {
  return readFileSync(logFile, "utf8").trim().slice(-LOG_TAIL_CHARACTERS);
}

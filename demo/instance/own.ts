// An instance of the demo's own, in a temporary folder: it never touches anybody's data, nor a port that somebody uses.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { RuntimeFile } from "../../runtime/data-directory.ts";
import { accessOf, DEFAULT_ADMIN_EMAIL, type Shop } from "./shop.ts";

const ENTRY = fileURLToPath(new URL("main.ts", import.meta.url));
const LOG = "instance.log";
const START_TIMEOUT_MS = 120_000;
const POLL_MS = 25;
/** What an instance gets to stop by itself: its roles drain, its servers close their files. */
const STOP_TIMEOUT_MS = 40_000;
/** Settings that a demo may take from the caller's environment; every other one would make it another demo. */
const PASSED_ON = ["PATH", "HOME", "USER", "LANG", "TMPDIR", "ACK_MODE", "API_WORKERS"];

/** Orders and requests a second from one address, for a crowd that all sits behind this one. */
export interface RateLimit {
  readonly perSecond: number;
}

/** Starts the instance and resolves when it serves. @throws with the end of its log when it does not */
export async function startOwnShop(limit: RateLimit, signal: AbortSignal): Promise<Shop> {
  const folder = mkdtempSync(path.join(tmpdir(), "onrush-demo-"));
  chmodSync(folder, 0o711); // Postgres' own account passes through, where it has one
  const password = randomBytes(12).toString("base64url");
  const child = spawnInstance(folder, password, limit);
  const close = async ({ keepFolder }: { keepFolder: boolean }) => {
    await stop(child);
    if (keepFolder) return folder;
    removeFolder(folder);
    return undefined;
  };
  try {
    const runtime = await untilServing(child, folder, signal);
    return {
      ...accessOf(runtime),
      admin: { email: DEFAULT_ADMIN_EMAIL, password },
      folder,
      pids: () => readRuntime(folder)?.pids ?? {},
      close,
    };
  } catch (error) {
    const log = readFileSync(path.join(folder, LOG), "utf8").trimEnd();
    await close({ keepFolder: false });
    if (signal.aborted) throw error;
    throw new Error(`The demo's instance did not start. What it said:\n${log}`, { cause: error });
  }
}

function spawnInstance(folder: string, password: string, limit: RateLimit): ChildProcess {
  const log = openSync(path.join(folder, LOG), "a");
  const passedOn = Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]));
  const child = spawn(process.execPath, [ENTRY], {
    detached: true, // Ctrl-C in a terminal reaches the demo, which stops the instance in its own time
    stdio: ["ignore", log, log, "ipc"],
    env: {
      ...passedOn,
      DATA_DIR: folder,
      PORT: "0",
      LOG_LEVEL: "warn",
      ADMIN_PASSWORD: password,
      RATE_LIMIT_ORDERS_PER_SECOND: String(limit.perSecond),
      RATE_LIMIT_REQUESTS_PER_SECOND: String(limit.perSecond),
    },
  });
  closeSync(log);
  return child;
}

async function untilServing(child: ChildProcess, folder: string, signal: AbortSignal): Promise<RuntimeFile> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const runtime = readRuntime(folder);
    if (runtime) return runtime;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("It ended.");
    if (performance.now() > deadline) throw new Error(`It does not serve after ${START_TIMEOUT_MS / 1_000} s.`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Undefined while there is none. */
function readRuntime(folder: string): RuntimeFile | undefined {
  try {
    return JSON.parse(readFileSync(path.join(folder, "runtime.json"), "utf8")) as RuntimeFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}

/** Where Postgres cannot reach the temporary folder, its data lies elsewhere, behind a link. */
function removeFolder(folder: string): void {
  const data = path.join(folder, "postgres");
  try {
    const real = realpathSync(data);
    if (real !== path.join(realpathSync(folder), "postgres")) rmSync(real, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  rmSync(folder, { recursive: true, force: true });
}

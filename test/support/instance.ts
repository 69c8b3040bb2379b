// An instance as a process of its own, as `npm start` makes one, on a temporary DATA_DIR; its roles are stand-ins, or the
// real ones.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { RuntimeFile } from "../../runtime/data-directory.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { scratchFolder } from "./scratch.ts";

const TRIVIAL_ENTRY = fileURLToPath(new URL("fixtures/start-trivial.ts", import.meta.url));
/** What `npm start` runs. */
export const REAL_ENTRY = fileURLToPath(new URL("../../runtime/start.ts", import.meta.url));
const READY = "Ctrl-C stops everything";

export type InstancePlace = { dataDir: string; port: number; remove(): void };

export async function instancePlace(): Promise<InstancePlace> {
  const dataDir = scratchFolder("instance");
  return { dataDir, port: await freePort(), remove: () => rmSync(dataDir, { recursive: true, force: true }) };
}

export type InstanceProcess = {
  pid: number;
  /** Everything printed so far. */
  output(): string;
  /** Resolves when the output holds the text; rejects when the process ends without it. */
  untilSaid(text: string): Promise<void>;
  untilReady(): Promise<RuntimeFile>;
  /** To the whole process group, as a terminal does on Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void;
  kill(): Promise<void>;
  /** Resolves to the exit code. */
  exited: Promise<number | null>;
};

export function startInstance(
  place: InstancePlace,
  env: Record<string, string> = {},
  entry: string = TRIVIAL_ENTRY,
): InstanceProcess {
  const child = spawn(process.execPath, [entry], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], DATA_DIR: place.dataDir, PORT: String(place.port), ...env },
  });
  const output = collect(child);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const untilSaid = async (text: string) => {
    const ended = exited.then(() => Promise.reject(new Error(`It ended without saying "${text}":\n${output.text()}`)));
    await Promise.race([output.until(text), ended]);
  };
  return {
    pid: child.pid ?? 0,
    output: output.text,
    exited,
    untilSaid,
    untilReady: async () => {
      await untilSaid(READY);
      return JSON.parse(readFileSync(path.join(place.dataDir, "runtime.json"), "utf8")) as RuntimeFile;
    },
    signalGroup: (signal) => void process.kill(-(child.pid ?? 0), signal),
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function collect(child: ChildProcess): { text(): string; until(text: string): Promise<void> } {
  let text = "";
  let waiting: { text: string; resolve(): void }[] = [];
  const add = (chunk: Buffer) => {
    text += chunk.toString();
    for (const wait of waiting) if (text.includes(wait.text)) wait.resolve();
    waiting = waiting.filter((wait) => !text.includes(wait.text));
  };
  child.stdout?.on("data", add);
  child.stderr?.on("data", add);
  return {
    text: () => text,
    until: (wanted) =>
      new Promise((resolve) => {
        if (text.includes(wanted)) resolve();
        else waiting.push({ text: wanted, resolve });
      }),
  };
}

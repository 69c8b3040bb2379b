// What a private server is to those who run it: the supervisor of an instance, and the tests.
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf, StartFailure } from "../failure.ts";

/** How a server's process is started, seen to be ready, and ended. */
export type ServerSpec = {
  name: string;
  port: number;
  /** File that takes what the server prints. */
  logFile: string;
  /** Starts the process in a process group of its own, so that Ctrl-C in a terminal does not reach it. */
  spawn(): ChildProcess;
  /** One attempt to use the server; rejects while it does not serve. */
  probe(): Promise<void>;
  stopSignal: NodeJS.Signals;
  stopTimeoutMs: number;
};

const PROBE_INTERVAL_MS = 20;
/** Loading a large append-only file, or recovering a large WAL, takes its time. */
const READY_TIMEOUT_MS = 120_000;
const LOG_TAIL_LINES = 6;

/** Resolves when the server answers; rejects with the end of its log when its process ends first. */
export async function untilReady(spec: ServerSpec, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  let ended: string | undefined;
  child.once("error", (error) => {
    ended = messageOf(error);
  });
  child.once("exit", (code, signal) => {
    ended = signal ?? `exit code ${code}`;
  });
  for (let problem: unknown; ; await delay(PROBE_INTERVAL_MS)) {
    if (ended !== undefined) throw new StartFailure(`${spec.name} did not start (${ended}).${logTail(spec.logFile)}`);
    if (performance.now() > deadline) {
      throw new StartFailure(`${spec.name} did not answer in ${READY_TIMEOUT_MS / 1000} s: ${messageOf(problem)}.`);
    }
    try {
      await spec.probe();
      return;
    } catch (error) {
      problem = error;
    }
  }
}

/** A port on 127.0.0.1 that nothing listens on: the preferred one when that is free, else one that the kernel picks. */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await canListen(preferred))) return preferred;
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

function logTail(file: string): string {
  try {
    const lines = readFileSync(file, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES);
    return ` The end of ${file}:\n${lines.join("\n")}`;
  } catch {
    return "";
  }
}

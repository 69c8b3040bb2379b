// What a private server is to those who run it: the supervisor of an instance, and the tests.
import type { ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
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
  /**
   * One attempt to use the server; rejects while it does not serve. `pid`: of the process that was spawned, which a probe may
   * compare with whoever answers: on a port that was lost to another server, that one would.
   */
  probe(pid: number | undefined): Promise<void>;
  stopSignal: NodeJS.Signals;
  stopTimeoutMs: number;
};

const PROBE_INTERVAL_MS = 20;
/** Loading a large append-only file, or recovering a large WAL, takes its time. */
const READY_TIMEOUT_MS = 120_000;
const LOG_TAIL_LINES = 6;

/** The port was taken by another process between the choice and the start. */
export class PortTaken extends StartFailure {}

/** How often another port is tried. */
const PORTS_TRIED_MAX = 5;
const IN_USE = /address already in use/i;
/** Below the range from which Linux takes the ports of outgoing connections: none of those comes in between. */
const PORT_MIN = 20_000;
const PORT_MAX = 32_000;

/**
 * Resolves when the server answers; rejects with the end of its log when its process ends first.
 *
 * @throws PortTaken, another StartFailure
 */
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
    if (ended !== undefined) {
      const tail = logTail(spec.logFile);
      const Failure = IN_USE.test(tail) ? PortTaken : StartFailure;
      throw new Failure(`${spec.name} did not start (${ended}).${tail}`);
    }
    if (performance.now() > deadline) {
      throw new StartFailure(`${spec.name} did not answer in ${READY_TIMEOUT_MS / 1000} s: ${messageOf(problem)}.`);
    }
    try {
      await spec.probe(child.pid);
      return;
    } catch (error) {
      problem = error;
    }
  }
}

/**
 * Starts a server on a free port, the preferred one if it can be had; on another one when that is lost to somebody else
 * before the server has it.
 */
export async function onFreePort<T>(start: (port: number) => Promise<T>, preferred?: number): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await start(await freePort(tried === 1 ? preferred : undefined));
    } catch (error) {
      if (!(error instanceof PortTaken) || tried === PORTS_TRIED_MAX) throw error;
    }
  }
}

/**
 * A port on 127.0.0.1 that nothing listens on: the preferred one when that is free, else any. Somebody else may take it
 * before it is used; {@link onFreePort} is for that.
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await canListen(preferred))) return preferred;
  for (let tried = 0; tried < PORTS_TRIED_MAX; tried += 1) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (await canListen(port)) return port;
  }
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

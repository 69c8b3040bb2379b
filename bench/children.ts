// The benchmark's own processes: started here, ended here, and ended by themselves when the benchmark is gone (their IPC
// channel closes).
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface Child<Ready> {
  readonly pid: number;
  /** Its first message. */
  readonly ready: Ready;
  /** Sends it a message and waits for the next one from it. */
  ask<Reply>(order: object): Promise<Reply>;
  stop(): Promise<void>;
}

const STOP_TIMEOUT_MS = 15_000;
const living = new Set<ChildProcess>();

/** Starts a module of `bench/` in a process of its own, sends it `order`, and waits for its first message. */
export async function startChild<Ready>(module: string, order: object): Promise<Child<Ready>> {
  const child = track(
    fork(fileURLToPath(new URL(module, import.meta.url)), [], { execArgv: [], stdio: ["ignore", 2, 2, "ipc"] }),
  );
  const ask = <Reply>(message: object) => {
    const reply = nextMessage<Reply>(child, module);
    child.send(message);
    return reply;
  };
  return { pid: child.pid ?? 0, ready: await ask<Ready>(order), ask, stop: () => endChild(child) };
}

/** The same for a process that does one thing, reports it and ends. */
export async function runChild<Report>(module: string, order: object): Promise<Report> {
  const child = await startChild<Report>(module, order);
  await child.stop();
  return child.ready;
}

export function track(child: ChildProcess): ChildProcess {
  living.add(child);
  child.once("exit", () => living.delete(child));
  return child;
}

/** Asks it to end, and kills it when it has not within 15 s. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}

/** Ends whatever still runs. */
export async function endChildren(): Promise<void> {
  await Promise.all([...living].map(endChild));
}

function nextMessage<Message>(child: ChildProcess, name: string): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null) =>
      reject(new Error(`${name} ended before it was done (${signal ?? `exit code ${code}`})`));
    child.once("exit", onExit);
    child.once("error", reject);
    child.once("message", (message) => {
      child.off("exit", onExit).off("error", reject);
      resolve(message as Message);
    });
  });
}

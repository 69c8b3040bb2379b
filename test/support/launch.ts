// Runs a private server for tests. One that a killed test run leaves behind dies with the run: a small watcher process
// holds a pipe of ours, and ends the server when the pipe closes.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type ServerSpec, untilReady } from "../../runtime/embedded/server.ts";

export type RunningServer = {
  pid: number;
  /** A clean stop. */
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: the process hangs, its connections stay open. */
  freeze(): void;
  thaw(): void;
};

const WATCHER = `process.stdin.resume().on("end", () => {
  try { process.kill(Number(process.argv[1]), "SIGKILL"); } catch {}
})`;

export async function launch(spec: ServerSpec): Promise<RunningServer> {
  const child = spec.spawn();
  const watcher = watch(child);
  try {
    await untilReady(spec, child);
  } catch (error) {
    await end(child, "SIGKILL");
    watcher.kill("SIGKILL");
    throw error;
  }
  const endBy = async (signal: NodeJS.Signals) => {
    watcher.kill("SIGKILL");
    await end(child, signal);
  };
  return {
    pid: child.pid ?? 0,
    stop: () => endBy(spec.stopSignal),
    kill: () => endBy("SIGKILL"),
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
  };
}

function watch(child: ChildProcess): ChildProcess {
  const watcher = spawn(process.execPath, ["-e", WATCHER, String(child.pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.unref();
  watcher.stdin.on("error", () => undefined);
  (watcher.stdin as unknown as { unref(): void }).unref();
  return watcher;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  if (signal !== "SIGKILL") child.kill("SIGCONT"); // a frozen process would not see the signal
  child.kill(signal);
  await gone;
}

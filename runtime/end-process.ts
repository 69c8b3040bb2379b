// Ending a process of which only its identity is known: one that another instance has started.
import { setTimeout as delay } from "node:timers/promises";
import { isRunning, type ProcessIdentity } from "../engine/process-identity.ts";

const POLL_MS = 25;

/** Asks the process to end by `signal`, and kills it when it has not within `timeoutMs`. Resolves when it is gone. */
export async function endProcess(identity: ProcessIdentity, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  sendSignal(identity, signal);
  const deadline = performance.now() + timeoutMs;
  let killed = false;
  while (isRunning(identity)) {
    if (!killed && performance.now() > deadline) {
      sendSignal(identity, "SIGKILL");
      killed = true;
    }
    await delay(POLL_MS);
  }
}

function sendSignal(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

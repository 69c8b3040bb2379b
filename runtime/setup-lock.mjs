// Keeps two set-ups of one checkout from installing at once. The lock is a file that names its owner's process; one whose
// owner is gone is taken over. Plain JavaScript for Node >= 20, like the set-up itself.
import { linkSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const POLL_MS = 200;

/** Runs `work` while holding `file`; waits, and says so once, while another live process holds it. */
export async function withSetupLock(file, say, work) {
  for (let told = false; !tryTake(file); told = true) {
    if (!told) say("Another set-up of this checkout is running; waiting for it ...");
    await delay(POLL_MS);
  }
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, exitOnSignal);
  try {
    return await work();
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, exitOnSignal);
    process.off("exit", release);
    release();
  }
}

export function isInvokedDirectly(moduleUrl) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(moduleUrl);
}

function exitOnSignal() {
  process.exit(130);
}

function tryTake(file) {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, `${process.pid}\n`);
  try {
    linkSync(own, file); // a link appears with its content, so that nobody ever reads an empty lock
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    dropIfAbandoned(file);
    return false;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Moves the lock aside before it looks, so that of several waiters only one removes it; a live owner's goes back. */
function dropIfAbandoned(file) {
  if (isAlive(ownerOf(file))) return;
  const aside = `${file}.abandoned.${process.pid}`;
  try {
    renameSync(file, aside);
    if (isAlive(ownerOf(aside))) linkSync(aside, file);
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "EEXIST") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function ownerOf(file) {
  try {
    return Number.parseInt(readFileSync(file, "utf8"), 10);
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** A lock that has just gone (undefined) counts as alive: there is nothing to drop. */
function isAlive(pid) {
  if (pid === undefined) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

// Tells one process from another that later got the same pid: by the moment at which the kernel started it. Leases and
// payments are held under such a name, so that a successor on the same machine sees when their holder is gone.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";

export type ProcessIdentity = { pid: number; startedAt: string };

/** Identity of a running process; undefined when there is none with this pid (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === "linux" ? startTicks(pid) : startDate(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startedAt === identity.startedAt;
}

/**
 * A name that no other process has, and no other caller in this one: `p1 <pid namespace> <pid> <boot>/<start> <uuid>`. Where
 * processes cannot be told apart for certain it names none, and is never found to be gone.
 */
export function holderName(): string {
  const own = process.platform === "linux" ? identify(process.pid) : undefined;
  const name = own ? `${pidNamespace()} ${own.pid} ${own.startedAt}` : "- - -";
  return `p1 ${name} ${randomUUID()}`;
}

/**
 * Whether the process of a {@link holderName} has ended. True only for one of this machine and container: of another one,
 * and of one that is frozen, nobody here can say that it is gone.
 */
export function isGone(name: string): boolean {
  const [version, namespace, pidText, startedAt = "", uuid] = name.split(" ");
  const pid = Number(pidText);
  if (version !== "p1" || !uuid || process.platform !== "linux" || !Number.isSafeInteger(pid) || pid < 1) return false;
  const own = identify(process.pid);
  if (namespace !== pidNamespace() || own?.startedAt.split("/")[0] !== startedAt.split("/")[0]) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  // There is a process of that number: another one, when it began at another moment. Where /proc hides it, nobody can say.
  const state = statOf(pid);
  return state !== undefined && (state.isDead || state.startedAt !== startedAt);
}

/** Numbers of processes mean something within their namespace only. */
function pidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid");
}

function startTicks(pid: number): string | undefined {
  const stat = statOf(pid);
  return stat?.isDead === false ? stat.startedAt : undefined;
}

/** Boot id and field 22 of /proc/PID/stat (clock ticks since boot); the name in field 2 may hold anything, ')' too. */
function statOf(pid: number): { readonly isDead: boolean; readonly startedAt: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return { isDead: state === "Z" || state === "X", startedAt: `${boot}/${fields[18]}` };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

function startDate(pid: number): string | undefined {
  try {
    const [state, ...started] = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    })
      .trim()
      .split(/\s+/);
    return !state || state.startsWith("Z") ? undefined : started.join(" ");
  } catch {
    return undefined; // ps answers 1 when there is no such process
  }
}

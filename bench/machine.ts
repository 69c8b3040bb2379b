// What the figures were taken on, and what processes cost.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

/** Linux' USER_HZ, in which /proc counts processor time. */
const TICKS_PER_SECOND = 100;

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly platform: string;
  /** Load of the machine before the run: above 1 on few cores, others were measured too. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
}

export function describeMachine(postgres?: string): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? "unknown",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    loadBefore: Number((loadavg()[0] ?? 0).toFixed(2)),
    versions: { node: process.versions.node, redis: redisVersion(), ...(postgres && { postgres }) },
  };
}

/** Processor time of a process so far, and of its living children when asked for; null where there is no /proc. */
export function cpuSecondsOf(pid: number, withChildren = false): number | null {
  try {
    if (withChildren) {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
      return [pid, ...children.map(Number)].reduce((sum, one) => sum + (cpuSecondsOf(one) ?? 0), 0);
    }
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

/** Counts from now on; tells the seconds of each of an instance's processes, Postgres' connections among them. */
export function cpuMeter(pids: Readonly<Record<string, number>>): () => Record<string, number> {
  const named = Object.entries(pids).filter(([name]) => name !== "supervisor"); // it is the parent of the others
  const read = () => named.map(([name, pid]) => [name, cpuSecondsOf(pid, true) ?? Number.NaN] as const);
  const before = new Map(read());
  return () =>
    Object.fromEntries(read().map(([name, seconds]) => [name, Number((seconds - (before.get(name) ?? 0)).toFixed(2))]));
}

function redisVersion(): string {
  try {
    const text = execFileSync("redis-server", ["--version"], { encoding: "utf8" });
    return /v=(\S+)/.exec(text)?.[1] ?? "unknown";
  } catch {
    return "unknown";
  }
}

// One burst against one server, with the processor time that both sides took for it.
import { randomBytes } from "node:crypto";
import { type Child, startChild } from "../children.ts";
import { cpuSecondsOf } from "../machine.ts";
import type { BurstOrder, BurstReport } from "./generator.ts";
import type { Order, Regular } from "./order-request.ts";
import type { Pace } from "./pacing.ts";

export interface Target {
  /** Names the scenario in messages. */
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  readonly order: Order;
  readonly keyed: boolean;
  /** Who orders; a new guest each time when absent. */
  readonly crowd?: readonly Regular[];
  /** The status that this scenario is about; any other one is a failure of the run. */
  readonly status: number;
  /** But for this one, where a scenario has two ends. */
  readonly otherwise?: number;
}

export interface Burst {
  /** Answers with the target's status, and how many requests went out for them. */
  readonly answered: number;
  readonly sent: number;
  readonly seconds: number;
  /** Answers, of either status, over the measured time. */
  readonly perSecond: number;
  /** Processor time per answer, in microseconds; the server's is null where /proc does not tell. */
  readonly serverCpuUs: number | null;
  readonly generatorCpuUs: number;
  /** Share of one core that the generator was busy for: near 1, the generator is what was measured. */
  readonly generatorBusy: number;
  /** At a fixed rate only. */
  readonly pace: Pace | undefined;
}

export interface BurstShape {
  readonly seconds: number;
  readonly connections: number;
  readonly rate?: number;
  readonly requests?: number;
}

let generator: Child<BurstReport> | undefined;

/** Runs a burst in the generator's process, which the first one starts. @throws when another answer came than expected */
export async function runBurst(target: Target, shape: BurstShape): Promise<Burst> {
  const { name, url, pid, order, keyed, crowd, status, otherwise } = target;
  const cpuBefore = cpuSecondsOf(pid);
  const report = await generate({ url, order, keyed, crowd, ...shape, burst: randomBytes(4).toString("hex") });
  const cpuAfter = cpuSecondsOf(pid);
  const { [String(status)]: answered = 0, [String(otherwise)]: second = 0, ...others } = report.statuses;
  if (Object.keys(others).length > 0 || report.errors > 0 || answered === 0) {
    throw new Error(
      `${name}: ${answered} answers with ${status}, ${report.errors} errors, others ${JSON.stringify(others)}`,
    );
  }
  const perAnswer = (seconds: number) => (seconds / (answered + second)) * 1e6;
  return {
    answered,
    sent: report.sent,
    seconds: report.seconds,
    perSecond: report.measured / report.seconds,
    serverCpuUs: cpuBefore === null || cpuAfter === null ? null : perAnswer(cpuAfter - cpuBefore),
    generatorCpuUs: perAnswer(report.cpuSeconds),
    generatorBusy: report.cpuShare,
    pace: report.pace,
  };
}

async function generate(order: BurstOrder): Promise<BurstReport> {
  if (generator) return generator.ask(order);
  generator = await startChild("load/generator.ts", order);
  return generator.ready;
}

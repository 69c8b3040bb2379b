// `onrush instances`: which processes run the shop, as each tells of itself.
import type { Command } from "commander";
import { ROLES } from "../../engine/config.ts";
import { type Instance, isAlive, listInstances, missingRoles } from "../../engine/instances/instances.ts";
import { addCommand } from "../command.ts";
import { withDatabase } from "../servers.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

const MIB = 1_048_576;

export function instancesCommand(program: Command): void {
  addCommand(program, {
    usage: "instances",
    summary: "the processes with role, version, load and health; exit code 1 when one is late, not ready, or missing",
    details:
      "Each tells every two seconds. late: beats are missing. gone: none came for 15 seconds, or the process was seen to be " +
      "dead. stopped: it ended in good order. The last two are shown for an hour.",
    examples: ["onrush instances", "onrush instances --json"],
    run: ({ answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const instances = await listInstances(pool);
        await answer(instances, () => screen(instances, terminal));
        if (instanceFindings(instances).length > 0) process.exitCode = 1;
      }),
  });
}

/** What an operator should look at. */
export function instanceFindings(instances: readonly Instance[]): string[] {
  const living = instances.filter(isAlive);
  return [
    ...missingRoles(instances, ROLES).map((role) => `No ${role} runs.`),
    ...living.filter(({ state }) => state === "late").map((one) => `${nameOf(one)} is late: it has missed beats.`),
    ...living
      .filter(({ state, health }) => state === "up" && !health.ready)
      .map((one) => `${nameOf(one)} is not ready: ${failedChecks(one)}.`),
  ];
}

function nameOf({ role, pid, host }: Instance): string {
  return `The ${role} ${pid} on ${host}`;
}

function failedChecks({ health: { checks, reason } }: Instance): string {
  const failed = Object.entries(checks).flatMap(([name, holds]) => (holds ? [] : [name]));
  return `${failed.join(", ")}${reason === undefined ? "" : ` (${reason})`}`;
}

function screen(instances: readonly Instance[], { columns, colors }: Terminal): string {
  if (instances.length === 0) return "No process has said that it runs.";
  const paint = (one: Instance) => {
    if (one.state === "late") return colors.yellow(one.state);
    if (!isAlive(one)) return one.state === "gone" ? colors.red(one.state) : colors.dim(one.state);
    return one.health.ready ? colors.green("ready") : colors.red(`no ${failedChecks(one)}`);
  };
  const rows = instances.map((one) => [
    one.role,
    paint(one),
    one.pid,
    one.host,
    `${one.version} ${one.build.slice(0, 7)}`,
    duration(one.heardAt.getTime() - one.startedAt.getTime()),
    `${Math.round(one.load.cpu * 100)}%`,
    `${Math.round(one.load.eventLoopDelayP99Ms)} ms`,
    `${Math.round(one.load.rssBytes / MIB)} MiB`,
    workOf(one),
  ]);
  const headings = ["role", "state", "pid", "host", "version", "ran", "cpu", "loop p99", "memory", "work"];
  return table(headings, rows, { columns, whole: ["role", "state"] });
}

function workOf({ role, load }: Instance): string {
  switch (role) {
    case "api":
      return `${load.ordersPerSecond ?? 0} orders/s, ${load.sockets ?? 0} sockets`;
    case "persister":
      return `${load.ordersPerSecond ?? 0} orders/s, ${load.partitions ?? 0} partitions`;
    case "worker":
      return `${load.jobsInFlight ?? 0} jobs, ${load.paymentsInFlight ?? 0} payments, ${load.deliveriesInFlight ?? 0} webhooks`;
  }
}

/** In the two largest units that there are. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const [minutes, hours, days] = [60, 3_600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  if (days > 0) return `${days}d ${hours % 24}h`;
  if (hours > 0) return `${hours}h ${minutes % 60}m`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}

// `onrush jobs`: the queues behind payments, settlements and the like, and a second chance for what failed.
import type { Command } from "commander";
import {
  countJobs,
  JOB_STATES,
  type Job,
  type JobState,
  listJobs,
  QUEUE_NAMES,
  retryJobs,
} from "../../engine/outbox/jobs.ts";
import type { QueueName } from "../../engine/outbox/queues.ts";
import { addCommand, oneOf, wholeNumber } from "../command.ts";
import { CommandError, UsageError } from "../failure.ts";
import { withDatabase } from "../servers.ts";
import { table } from "../table.ts";

interface ListOptions {
  readonly queue?: QueueName;
  readonly state?: JobState;
  readonly limit?: number;
}

interface RetryOptions {
  readonly all?: boolean;
  readonly queue?: QueueName;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const LIMIT_DEFAULT = 20;
const QUEUE = { flags: "--queue <name>", help: `only of ${QUEUE_NAMES.join(", ")}`, parse: oneOf(...QUEUE_NAMES) };

export function jobCommands(jobs: Command): void {
  addCommand<ListOptions>(jobs, {
    usage: "list",
    summary: "the queues and the jobs that failed; exit code 1 when any failed",
    details:
      "A job is a wake-up: what is due is read from the orders that it names, and sweeps find what a lost job left. " +
      "Failed jobs are kept for an hour.",
    examples: ["onrush jobs list", "onrush jobs list --state active --queue payment --json"],
    options: [
      QUEUE,
      { flags: "--state <state>", help: "jobs in this state (failed)", parse: oneOf(...JOB_STATES) },
      { flags: "--limit <n>", help: `how many jobs, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) },
    ],
    run: ({ options, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const { queue, state = "failed", limit = LIMIT_DEFAULT } = options;
        const queues = (await countJobs(pool)).filter((row) => queue === undefined || row.queue === queue);
        const found = await listJobs(pool, { queue, state, limit });
        await answer({ queues, jobs: found }, () => {
          const counts = queues.map((row) => [
            row.queue,
            row.waiting,
            row.active,
            row.failed,
            row.oldestWaitingSeconds === null ? "" : `${Math.round(row.oldestWaitingSeconds)} s`,
          ]);
          const { columns } = terminal;
          const screen = table(["queue", "waiting", "active", "failed", "oldest"], counts, { columns });
          if (found.length === 0) return `${screen}\n\nNo job is ${state}.`;
          return `${screen}\n\n${table(["job", "queue", "at", "why"], found.map(cells), { columns, whole: ["job"] })}`;
        });
        if (queues.some(({ failed }) => failed > 0)) process.exitCode = 1;
      }),
  });
  addCommand<RetryOptions>(jobs, {
    usage: "retry [job...]",
    summary: "lets failed jobs run once more",
    examples: ["onrush jobs retry <job>", "onrush jobs retry --all --queue payment --yes"],
    options: [{ flags: "--all", help: "all that failed" }, QUEUE],
    changes: () => true,
    run: ({ args: ids, options, answer, confirm }) => {
      const wrong = ids.find((id) => !UUID.test(id));
      if (wrong !== undefined) throw new UsageError(`${wrong} is no job's id.`);
      if (ids.length > 0 === (options.all === true)) throw new UsageError("Name the jobs, or give --all.");
      return withDatabase(async ({ pool, actor }) => {
        await confirm(options.all ? "Retry all failed jobs?" : `Retry ${ids.length} job(s)?`);
        const retried = await retryJobs(pool, { ...(!options.all && { ids }), queue: options.queue }, actor);
        if (retried.length < ids.length) {
          const missing = ids.filter((id) => !retried.includes(id.toLowerCase()));
          throw new CommandError(
            `No failed job ${missing.join(", ")}; ${retried.length} other(s) run again.`,
            "NOT_FOUND",
          );
        }
        await answer({ retried }, () => `${retried.length} job(s) run again.`);
      });
    },
  });
}

function cells({ id, queue, createdAt, output }: Job): string[] {
  const { message } = (output ?? {}) as { message?: unknown };
  const why = typeof message === "string" ? message : output === null ? "" : JSON.stringify(output);
  return [id, queue, createdAt.toISOString().slice(5, 19).replace("T", " "), why];
}

// `onrush status`: how the shop stands, at a glance.
import type { Command } from "commander";
import type { Redis } from "ioredis";
import type pg from "pg";
import { ROLES } from "../../engine/config.ts";
import { type Instance, listInstances, missingRoles } from "../../engine/instances/instances.ts";
import { type Overview, readOverview } from "../../engine/ledger/overview.ts";
import { countJobs, type QueueCounts } from "../../engine/outbox/jobs.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { addCommand } from "../command.ts";
import { paintState } from "../sale-stock.ts";
import { locate, withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { instanceFindings } from "./instances.ts";

interface Status extends Overview {
  readonly servers: {
    readonly redis: { readonly version: string; readonly memory: string; readonly appendfsync: string } | null;
    readonly postgres: { readonly version: string; readonly size: string };
    /** `null`: it did not answer; left out where nothing says where it is. */
    readonly api?: { readonly url: string; readonly ready: boolean } | null;
  };
  readonly instances: readonly Instance[];
  readonly queues: readonly QueueCounts[];
}

const ANSWER_MS_MAX = 3_000;

export function statusCommand(program: Command): void {
  addCommand(program, {
    usage: "status",
    summary: "servers, roles, lag, backlog and drift; exit code 1 when something is wrong",
    examples: ["onrush status", "onrush status --json"],
    run: ({ answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const status = await read(pool);
        await answer(status, () => screen(status, terminal));
        if (status.findings.length > 0) process.exitCode = 1;
      }),
  });
}

async function read(pool: pg.Pool): Promise<Status> {
  const { redisUrl, apiUrl } = locate(process.env);
  const redis = commandConnection(redisUrl, ANSWER_MS_MAX);
  redis.on("error", () => undefined); // told as a finding
  try {
    const isThere = await connect(redis).then(
      () => true,
      () => false,
    );
    const overview = await readOverview(pool, isThere ? new PartitionStock(redis, new KnownPositions()) : undefined);
    const instances = await listInstances(pool);
    const queues = await countJobs(pool);
    const api = apiUrl ? { url: apiUrl, ready: await isReady(apiUrl) } : undefined;
    const findings = [...overview.findings, ...instanceFindings(instances)];
    if (api && !api.ready) findings.push(`The API at ${api.url} is not ready.`);
    for (const { queue, failed } of queues) if (failed > 0) findings.push(`${failed} job(s) of ${queue} failed.`);
    const servers = {
      redis: isThere ? await describeRedis(redis) : null,
      postgres: await describePostgres(pool),
      ...(api && { api }),
    };
    return { ...overview, findings, servers, instances, queues };
  } finally {
    redis.disconnect();
  }
}

async function describeRedis(redis: Redis) {
  const info = await redis.info();
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim() ?? "?";
  const settings = (await redis.config("GET", "appendfsync").catch(() => [])) as string[];
  const isOn = field("aof_enabled") === "1";
  return {
    version: field("redis_version"),
    memory: field("used_memory_human"),
    appendfsync: isOn ? (settings[1] ?? "?") : "off",
  };
}

async function describePostgres(pool: pg.Pool) {
  const result = await pool.query<{ version: string; size: string }>(
    `SELECT current_setting('server_version') AS version, pg_size_pretty(pg_database_size(current_database())) AS size`,
  );
  return result.rows[0] ?? { version: "?", size: "?" };
}

function jobsLine(queues: readonly QueueCounts[]): string {
  const busy = queues.filter(({ waiting, active, failed }) => waiting + active + failed > 0);
  const parts = busy.map(
    ({ queue, waiting, active, failed }) => `${queue} ${waiting} waiting, ${active} active, ${failed} failed`,
  );
  return parts.length === 0 ? "none" : parts.join("; ");
}

async function isReady(apiUrl: string): Promise<boolean> {
  const answer = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(ANSWER_MS_MAX) }).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.ok === true;
}

function screen(status: Status, terminal: Terminal): string {
  const { colors, columns } = terminal;
  const { servers, orders, oldestUnfinished: oldest } = status;
  const missing = missingRoles(status.instances, ROLES);
  const { redis, postgres, api } = servers;
  const unfinished = Object.entries(orders).map(([name, count]) => `${count} ${name}`);
  const facts = details(
    [
      ["redis", redis ? `${redis.version}, ${redis.memory}, appendfsync ${redis.appendfsync}` : colors.red("away")],
      ["postgres", `${postgres.version}, ${postgres.size}`],
      ["api", api ? `${api.url}, ${api.ready ? "ready" : colors.red("not ready")}` : undefined],
      [
        "roles",
        ROLES.map((role) => (missing.includes(role) ? colors.red(`no ${role}`) : colors.green(role))).join(", "),
      ],
      ["unfinished", unfinished.length > 0 ? unfinished.join(", ") : "none"],
      [
        "oldest",
        oldest ? `${oldest.id} ${oldest.status}, since ${oldest.placedAt.toISOString().slice(0, 19)}Z` : undefined,
      ],
      ["dead letters", status.openDeadLetters],
      ["refunds", `${status.refunds.pending} under way, ${status.refunds.failed} failed`],
      ["jobs", jobsLine(status.queues)],
    ],
    terminal,
  );
  const unknown = "?";
  const cells = status.sales.flatMap((sale) =>
    sale.partitions.map((partition) => [
      `${sale.id}.${partition.partition}`,
      paintState(sale.state, terminal),
      partition.state === "live" ? partition.state : colors.red(partition.state),
      partition.lag ?? unknown,
      partition.backlog ?? unknown,
      partition.drift ?? unknown,
    ]),
  );
  const sales = table(["sale", "state", "log", "lag", "backlog", "drift"], cells, { columns });
  const found = status.findings.map((finding) => colors.red(`! ${finding}`));
  return [facts, sales, found.length > 0 ? found.join("\n") : colors.green("All is well.")].join("\n\n");
}

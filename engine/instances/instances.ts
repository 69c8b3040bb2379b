// The processes that run, as rows that they keep up themselves. How long ago one was heard of is measured by Postgres' clock
// alone: those of the processes' machines may disagree.
import type { AckMode, Role } from "../config.ts";
import type { Queryable } from "../ledger/database.ts";
import type { Health } from "./health.ts";
import type { Load } from "./load.ts";

/** What a process is. */
export interface InstanceIdentity {
  readonly id: string;
  readonly role: Role;
  readonly host: string;
  readonly pid: number;
  /** As in package.json. */
  readonly version: string;
  /** A digest of the code. */
  readonly build: string;
  /** Of Node. */
  readonly node: string;
  /** What it promises with an order; of an API process. */
  readonly ackMode: AckMode | null;
}

/** What it says of itself every two seconds. */
export interface InstanceBeat {
  readonly health: Health;
  readonly load: Load;
  /** Those whose lease a persister has; the first hundred. */
  readonly partitions: readonly string[];
  /** The version of the runtime configuration that it runs by. */
  readonly configuration: number | null;
}

export const INSTANCE_STATES = ["up", "late", "gone", "stopped"] as const;
/**
 * `late`: beats are missing. `gone`: so many of them that it is taken for dead, or it was seen to be. `stopped`: it said
 * good-bye. The last two are kept for an hour.
 */
export type InstanceState = (typeof INSTANCE_STATES)[number];

export interface Instance extends InstanceIdentity, InstanceBeat {
  readonly state: InstanceState;
  readonly startedAt: Date;
  /** Its last beat. */
  readonly heardAt: Date;
  /** When it said good-bye or was seen to be gone. */
  readonly endedAt: Date | null;
}

export const BEAT_MS = 2_000;
/** Two beats are missing. */
const LATE_AFTER_MS = 5_000;
const GONE_AFTER_MS = 15_000;
const KEPT_MS = 3_600_000;
/** Shown at most: those that live first. */
const INSTANCES_MAX = 500;

/** Writes a process down or its next beat. @param uptimeMs since its start, by its own monotonic clock */
export async function recordBeat(
  db: Queryable,
  instance: InstanceIdentity & { readonly holder: string; readonly uptimeMs: number },
  beat: InstanceBeat,
): Promise<void> {
  await db.query({
    name: "record_instance_beat",
    text: `INSERT INTO instances (id, role, holder, host, pid, version, build, node, ack_mode, started_at,
        health, load, partitions, configuration)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() - $10::float8 * interval '1 millisecond', $11, $12, $13, $14)
      ON CONFLICT (id) DO UPDATE SET beat_at = now(), health = EXCLUDED.health, load = EXCLUDED.load,
        partitions = EXCLUDED.partitions, configuration = EXCLUDED.configuration, ended_at = NULL, ended = NULL`,
    values: [
      ...[instance.id, instance.role, instance.holder, instance.host, instance.pid, instance.version, instance.build],
      ...[instance.node, instance.ackMode, instance.uptimeMs],
      ...[JSON.stringify(beat.health), JSON.stringify(beat.load), beat.partitions, beat.configuration],
    ],
  });
}

/** The process ends, in good order. */
export async function recordGoodbye(db: Queryable, id: string): Promise<void> {
  await db.query("UPDATE instances SET ended_at = now(), ended = 'stopped' WHERE id = $1", [id]);
}

/** Names of the processes that have not ended, as far as they said. */
export async function listInstanceHolders(db: Queryable): Promise<string[]> {
  const result = await db.query<{ holder: string }>("SELECT holder FROM instances WHERE ended IS NULL");
  return result.rows.map(({ holder }) => holder);
}

/** Somebody saw that these are gone. */
export async function recordGone(db: Queryable, holders: readonly string[]): Promise<void> {
  await db.query(
    "UPDATE instances SET ended_at = now(), ended = 'gone' WHERE ended IS NULL AND holder = ANY ($1::text[])",
    [holders],
  );
}

/** Every process that runs, or ran within the last hour: by role, those that live first. */
export async function listInstances(db: Queryable): Promise<Instance[]> {
  const result = await db.query<Instance>({
    name: "list_instances",
    text: `SELECT id, role, host, pid, version, build, node, ack_mode AS "ackMode", health, load, partitions, configuration,
        started_at AS "startedAt", beat_at AS "heardAt", ended_at AS "endedAt",
        CASE WHEN ended IS NOT NULL THEN ended
          WHEN beat_at > now() - $1 * interval '1 millisecond' THEN 'up'
          WHEN beat_at > now() - $2 * interval '1 millisecond' THEN 'late' ELSE 'gone' END AS state
      FROM instances WHERE beat_at > now() - $3 * interval '1 millisecond'
      ORDER BY ended IS NOT NULL OR beat_at <= now() - $2 * interval '1 millisecond',
        role, CASE WHEN ended IS NULL THEN started_at END, beat_at DESC, id LIMIT $4`,
    values: [LATE_AFTER_MS, GONE_AFTER_MS, KEPT_MS, INSTANCES_MAX],
  });
  return result.rows;
}

/** Deletes what is not shown any more. */
export async function forgetInstances(db: Queryable): Promise<void> {
  await db.query("DELETE FROM instances WHERE beat_at <= now() - $1 * interval '1 millisecond'", [KEPT_MS]);
}

/** Roles of which no process lives. */
export function missingRoles(instances: readonly Instance[], roles: readonly Role[]): Role[] {
  return roles.filter((role) => !instances.some((one) => one.role === role && isAlive(one)));
}

export function isAlive({ state }: Pick<Instance, "state">): boolean {
  return state === "up" || state === "late";
}

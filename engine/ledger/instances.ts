// Which roles run, as Postgres sees it: each process names its connections by its role.
import type { Queryable } from "./database.ts";

/** The names of the connections that each role's process keeps busy. */
const ROLE_OF_CONNECTION: Readonly<Record<string, InstanceRole>> = {
  "onrush-api": "api",
  "onrush-persister": "persister",
  "onrush worker": "worker",
};
export const INSTANCE_ROLES = ["api", "persister", "worker"] as const;
export type InstanceRole = (typeof INSTANCE_ROLES)[number];

export interface Instance {
  readonly role: InstanceRole;
  /** Where the connections come from; `local`: a socket, or not told to this account. Processes of one host count as one. */
  readonly address: string;
  readonly connections: number;
  /** Since when the oldest of the connections is open; a process that reconnected is older. */
  readonly connectedSince: Date | null;
}

export async function listInstances(db: Queryable): Promise<Instance[]> {
  const result = await db.query<Omit<Instance, "role"> & { name: string }>(
    `SELECT application_name AS name, COALESCE(host(client_addr), 'local') AS address, count(*)::int AS connections,
       min(backend_start) AS "connectedSince"
     FROM pg_stat_activity WHERE datname = current_database() AND application_name = ANY($1::text[])
     GROUP BY application_name, client_addr ORDER BY application_name, address`,
    [Object.keys(ROLE_OF_CONNECTION)],
  );
  return result.rows.flatMap(({ name, ...instance }) => {
    const role = ROLE_OF_CONNECTION[name];
    return role ? [{ role, ...instance }] : [];
  });
}

// The shop that a demo is held in: where it is, and administrator's access to it.
import type { RuntimeFile } from "../../runtime/data-directory.ts";

export interface Shop {
  readonly apiUrl: string;
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly admin: { readonly email: string; readonly password: string };
  /** The instance's DATA_DIR. */
  readonly folder: string;
  /** The processes of the instance as they are now, by name. */
  pids(): Readonly<Record<string, number>>;
  /** Ends what the demo started. With `keepFolder`, its data and logs stay. @returns where they are */
  close(options: { keepFolder: boolean }): Promise<string | undefined>;
}

export const DEFAULT_ADMIN_EMAIL = "admin@onrush.local";

/** What a runtime.json must say for a demo. @throws when the instance runs no API */
export function accessOf(runtime: RuntimeFile): Pick<Shop, "apiUrl" | "redisUrl" | "databaseUrl"> {
  const { apiUrl, redisUrl, databaseUrl } = runtime;
  if (apiUrl === null) throw new Error("The running instance has no API (ROLES); the demo buys over HTTP.");
  return { apiUrl, redisUrl, databaseUrl };
}

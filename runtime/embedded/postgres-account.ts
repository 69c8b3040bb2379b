// Postgres refuses to run as root. Started by root (a container, a CI runner) it therefore runs as another account, which
// must be able to reach its binaries and its data: a clone under /root (mode 0700), for one, hides both from it. Whatever
// it cannot reach is put under /var/lib/onrush instead (binaries as a copy, data for good), and DATA_DIR/postgres is then
// a link to the data. Started by anybody else, Postgres runs as that user, straight from node_modules and in DATA_DIR.
import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, cpSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { StartFailure } from "../failure.ts";

/** Account of the server's processes; undefined: that of this process. */
export type Account = { uid: number; gid: number } | undefined;

const SHARED_ROOT = "/var/lib/onrush";
/** `postgres` is there where a Postgres was installed by the system; `nobody` is everywhere. */
const CANDIDATES = ["postgres", "nobody"];

export function serverAccount(): Account {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of CANDIDATES) {
    const uid = idOf("-u", name);
    const gid = idOf("-g", name);
    if (uid && gid) return { uid, gid };
  }
  throw new StartFailure(
    `Postgres does not run as root and there is no account ${CANDIDATES.join(" or ")}; run as another user, or set DATABASE_URL.`,
  );
}

/** Folder of the binaries, reachable by the account. */
export function reachableBinaries(native: string, version: string, account: Account): string {
  if (canRun(path.join(native, "bin/postgres"), account)) return native;
  const copy = path.join(SHARED_ROOT, `postgres-${version}`);
  if (!existsSync(copy)) {
    const staged = `${copy}.${process.pid}`;
    mkdirSync(SHARED_ROOT, { recursive: true, mode: 0o755 });
    cpSync(native, staged, { recursive: true, verbatimSymlinks: true });
    moveOrYield(staged, copy);
  }
  if (canRun(path.join(copy, "bin/postgres"), account)) return copy;
  throw new StartFailure(
    `The account that Postgres runs as cannot run ${copy}; set DATABASE_URL, or run as another user.`,
  );
}

/**
 * Folder that the account can create its data in: the wanted one's parent, when it can be passed through.
 *
 * @param key names the data in the shared place; random per instance, so that a DATA_DIR that was deleted and made anew
 *            does not meet the data of the one before.
 */
export function reachableData(wanted: string, key: string, account: Account): string {
  if (canPass(path.dirname(wanted), account)) return wanted;
  const parent = path.join(SHARED_ROOT, "data");
  mkdirSync(parent, { recursive: true, mode: 0o755 });
  if (!canPass(parent, account)) {
    throw new StartFailure(
      `The account that Postgres runs as reaches neither ${wanted} nor ${parent}; choose another DATA_DIR, or set DATABASE_URL.`,
    );
  }
  return path.join(parent, key);
}

export function giveTo(account: Account, file: string): void {
  if (account) chownSync(file, account.uid, account.gid);
}

function idOf(flag: "-u" | "-g", name: string): number | undefined {
  try {
    return Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  } catch {
    return undefined;
  }
}

function canRun(file: string, account: Account): boolean {
  return spawnSync(file, ["--version"], { ...account, cwd: "/", stdio: "ignore" }).status === 0;
}

function canPass(directory: string, account: Account): boolean {
  return spawnSync("test", ["-x", directory], { ...account, cwd: "/", stdio: "ignore" }).status === 0;
}

/** Two first starts at once: whoever is second uses the other's copy. */
function moveOrYield(staged: string, target: string): void {
  try {
    renameSync(staged, target);
  } catch (error) {
    rmSync(staged, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
}

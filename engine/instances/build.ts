// What this process runs: the package's version, and a digest of the code itself. Two processes of one version that were built
// from different sources show it, wherever they were built and without any version control beside them.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

export interface Build {
  /** As in package.json. */
  readonly version: string;
  /** Twelve hexadecimal digits of the SHA-256 over the files that the roles run. */
  readonly build: string;
}

// Asked for by the package's name, as the way up is not the same from the sources and from dist/.
const PACKAGE_JSON = createRequire(import.meta.url).resolve("onrush/package.json");
const PACKAGE = path.dirname(PACKAGE_JSON);
const CODE = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = [
  ...["engine", "api", "persister"].map((folder) => path.join(CODE, folder)),
  path.join(PACKAGE, "lua"),
  path.join(PACKAGE, "persister", "migrations"),
];
const RUNS = /(?<!\.d)\.(ts|js|lua|sql)$/;
const DIGITS = 12;

/** Reads some hundred files: once a process, and not while orders wait. */
export async function readBuild(): Promise<Build> {
  const { version } = JSON.parse(await readFile(PACKAGE_JSON, "utf8")) as { version: string };
  const digest = createHash("sha256");
  for (const folder of FOLDERS) {
    const names = (await readdir(folder, { recursive: true })).filter((name) => RUNS.test(name)).sort();
    for (const name of names) digest.update(`${name}\0`).update(await readFile(path.join(folder, name)));
  }
  return { version, build: digest.digest("hex").slice(0, DIGITS) };
}

// An instance that already runs on this machine, found as the admin CLI finds it: by DATA_DIR.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { RuntimeFile } from "../../runtime/data-directory.ts";
import { member } from "../http.ts";
import { accessOf, DEFAULT_ADMIN_EMAIL, type Shop } from "./shop.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Takes the running instance at `url`. @throws with what is missing */
export function findRunningShop(url: string, env: Environment): Shop {
  const folder = path.resolve(env["DATA_DIR"] || ".data");
  const runtime = () => readJson(path.join(folder, "runtime.json")) as RuntimeFile | undefined;
  const found = runtime();
  if (!found) {
    throw new Error(`There is no ${path.join(folder, "runtime.json")}: start the instance, or give its DATA_DIR.`);
  }
  const access = accessOf(found);
  if (new URL(access.apiUrl).origin !== url) {
    throw new Error(`The instance of ${folder} serves at ${access.apiUrl}, not at ${url}; give the other's DATA_DIR.`);
  }
  const password = env["ADMIN_PASSWORD"] ?? member(readJson(path.join(folder, "secrets.json")), "adminPassword");
  if (typeof password !== "string") throw new Error("Set ADMIN_PASSWORD: the demo makes its sale as an administrator.");
  return {
    ...access,
    admin: { email: env["ADMIN_EMAIL"] ?? DEFAULT_ADMIN_EMAIL, password },
    folder,
    pids: () => runtime()?.pids ?? {},
    close: async () => undefined, // it was running before and goes on
  };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as unknown;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

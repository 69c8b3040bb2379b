// A platform's packages in a folder of their own, outside of the repository: installed by npm once, and again when the list of
// what is wanted has changed.
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { track } from "../children.ts";
import type { Platform } from "./platform.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const INSTALL_TIMEOUT_MS = 15 * 60_000;
const LOG_TAIL_CHARACTERS = 1_500;

/** Nothing is wrong here: the packages are not to be had. */
export class NotInstalled extends Error {}

/** @returns the folder. @throws NotInstalled when npm cannot install, with the end of what it said */
export async function install(platform: Platform, root: string, say: (line: string) => void): Promise<string> {
  const directory = path.join(root, platform.name);
  mkdirSync(directory, { recursive: true });
  for (const [name, source] of Object.entries(platform.files)) {
    copyFileSync(path.join(HERE, source), path.join(directory, name));
  }
  const manifest = `${JSON.stringify(manifestOf(platform), null, 2)}\n`;
  const stamp = path.join(directory, "installed.json");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === manifest) return directory;
  say(`Installing ${platform.name} ${platform.version} into ${directory}; this takes minutes ...`);
  writeFileSync(path.join(directory, "package.json"), manifest);
  await npmInstall(platform, directory);
  writeFileSync(stamp, manifest);
  return directory;
}

function manifestOf({ name, dependencies, overrides }: Platform) {
  return { name: `onrush-bench-${name}`, private: true, dependencies, ...(overrides && { overrides }) };
}

async function npmInstall({ name, version }: Platform, directory: string): Promise<void> {
  const logFile = path.join(directory, "install.log");
  const log = openSync(logFile, "w");
  const child = track(
    spawn("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: directory,
      stdio: ["ignore", log, log],
      timeout: INSTALL_TIMEOUT_MS,
    }),
  );
  const ended = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(code === 0 ? "" : (signal ?? `exit code ${code}`)));
  });
  if (ended === "") return;
  const said = readFileSync(logFile, "utf8").trim().slice(-LOG_TAIL_CHARACTERS);
  throw new NotInstalled(
    `npm could not install ${name} ${version} (${ended}): is its registry within reach? The end of ${logFile}:\n${said}`,
  );
}

// Loads the Lua scripts of `lua/`, expands their `-- @include` lines, and runs them by the SHA-1 of their content: two
// versions of Onrush on one Redis can never call each other's scripts, and an edit never reuses a name.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type { Redis } from "ioredis";

export const SCRIPT_NAMES = [
  "open",
  "place",
  "settle",
  "release",
  "restock",
  "adjust",
  "honour",
  "revive",
  "take-back",
  "acknowledge",
  "lease",
  "snapshot",
  "load",
  "keep",
] as const;
export type ScriptName = (typeof SCRIPT_NAMES)[number];

export interface Script {
  readonly name: ScriptName;
  readonly source: string;
  readonly sha: string;
  /** Names the text in what it writes: the start of its SHA-1, taken before `@version` was replaced by this. */
  readonly version: string;
  /** Number of keys that the script's header declares. */
  readonly keys: number;
}

// Asked for by the package's name, as the way up is not the same from the sources and from dist/.
const PACKAGE_JSON = createRequire(import.meta.url).resolve("onrush/package.json");
const LUA_DIR = path.join(path.dirname(PACKAGE_JSON), "lua");
const INCLUDE = /^-- @include (\S+)$/gm;
const VERSION = /@version\b/g;
const VERSION_LENGTH = 12;

/** Reads every script with its includes in place. */
export function readScripts(dir: string = LUA_DIR): ReadonlyMap<ScriptName, Script> {
  const includes = new Map(
    readdirSync(`${dir}/include`).map((file) => [file, readFileSync(`${dir}/include/${file}`, "utf8")]),
  );
  return new Map(
    SCRIPT_NAMES.map((name) => {
      const raw = readFileSync(`${dir}/${name}.lua`, "utf8");
      const expanded = raw.replace(INCLUDE, (_line, file: string) => {
        const text = includes.get(file);
        if (text === undefined) throw new Error(`lua/${name}.lua includes ${file}, which does not exist`);
        return text;
      });
      const keys = new Set(raw.match(/^-- KEYS\[\d+\]/gm)).size;
      const version = sha1(expanded).slice(0, VERSION_LENGTH);
      const source = expanded.replace(VERSION, version);
      return [name, { name, source, keys, version, sha: sha1(source) }];
    }),
  );
}

function sha1(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}

const scripts = readScripts();

/** The script's text and hash, for tests and reports. */
export function scriptOf(name: ScriptName): Script {
  const script = scripts.get(name);
  if (!script) throw new Error(`no script ${name}`);
  return script;
}

/** Loads all scripts into the server's cache, so that the first calls need not send them. */
export async function loadScripts(redis: Redis): Promise<void> {
  await Promise.all([...scripts.values()].map((script) => redis.script("LOAD", script.source)));
}

/**
 * Runs a script by hash; when the server does not know it (restarted, flushed), by its text. NOSCRIPT is said before
 * anything runs, so asking again is safe.
 */
export async function runScript(
  redis: Redis,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const script = scriptOf(name);
  if (keys.length !== script.keys) throw new Error(`${name}.lua takes ${script.keys} keys, not ${keys.length}`);
  try {
    return await redis.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return await redis.eval(script.source, keys.length, ...keys, ...args);
  }
}

// Reads what durability depends on from a server, on the connection that orders take. What the server refuses to tell is
// left undefined; a server that does not answer is an error.
import type { Redis } from "ioredis";
import type { ServerSettings } from "./requirements.ts";

const SETTINGS = ["maxmemory-policy", "appendonly", "appendfsync", "no-appendfsync-on-rewrite"] as const;

/** Everything in one round trip. @throws when the connection breaks or no answer comes in time */
export async function readServerSettings(redis: Redis): Promise<ServerSettings> {
  const results = await redis
    .pipeline()
    .call("INFO")
    .call("CONFIG", "GET", ...SETTINGS)
    .exec();
  const [info, config] = (results ?? []).map(([error, reply]) => {
    if (error && error.name !== "ReplyError") throw error;
    return error ? undefined : reply;
  });
  const facts = parseInfo(typeof info === "string" ? info : "");
  const settings = parseConfig(config);
  const aof = facts.get("aof_enabled");
  return {
    runId: facts.get("run_id"),
    role: facts.get("role"),
    // INFO tells these two as well: a server without CONFIG is still held to them.
    maxmemoryPolicy: settings.get("maxmemory-policy") ?? facts.get("maxmemory_policy"),
    appendonly: settings.get("appendonly") ?? (aof === undefined ? undefined : aof === "0" ? "no" : "yes"),
    appendfsync: settings.get("appendfsync"),
    noAppendfsyncOnRewrite: settings.get("no-appendfsync-on-rewrite"),
  };
}

/**
 * Whether WAITAOF (Redis 7.2) is there and may be called. It asks for nothing and waits for nobody.
 *
 * @throws when the connection breaks or no answer comes in time
 */
export async function mayWaitForAof(redis: Redis): Promise<boolean> {
  try {
    await redis.call("WAITAOF", 0, 0, 0);
    return true;
  } catch (error) {
    if (error instanceof Error && error.name === "ReplyError") return false;
    throw error;
  }
}

function parseInfo(text: string): Map<string, string> {
  return new Map(
    text.split("\r\n").flatMap((line) => {
      const colon = line.indexOf(":");
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
    }),
  );
}

/** An array of names and values in turn, or an object where the connection speaks RESP3. */
function parseConfig(reply: unknown): Map<string, string> {
  if (typeof reply !== "object" || reply === null) return new Map();
  if (!Array.isArray(reply)) return new Map(Object.entries(reply).map(([name, value]) => [name, String(value)]));
  const pairs = new Map<string, string>();
  for (let i = 0; i + 1 < reply.length; i += 2) pairs.set(String(reply[i]), String(reply[i + 1]));
  return pairs;
}

// Cross-origin requests: allowed for exactly the origins that are configured, and not spoken of to others.
import type { Context } from "hono";
import type { ApiEnv } from "./env.ts";

export interface Cors {
  /** Headers of an answer to a request from there. */
  headers(origin: string | null | undefined): Readonly<Record<string, string>>;
  /** Adds the headers to an answer when its request came from an allowed origin. */
  apply(c: Context<ApiEnv>, response: Response): Response;
  /** Headers of a preflight's answer, or `undefined` when the origin is not allowed or it is none. */
  preflight(c: Context<ApiEnv>, methods: readonly string[]): Record<string, string> | undefined;
}

const REQUEST_HEADERS = "authorization, content-type, idempotency-key, prefer";
const EXPOSED_HEADERS = "location, retry-after, idempotent-replayed";
const PREFLIGHT_SECONDS = "600";
const NONE = {};
/** Caches must tell origins apart as soon as one of them is told anything. */
const OTHERS = { vary: "origin" } as const;

export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins);
  if (allowed.size === 0) {
    return { headers: () => NONE, apply: (_c, response) => response, preflight: () => undefined };
  }
  const headers = (origin: string | null | undefined): Readonly<Record<string, string>> => {
    if (typeof origin !== "string" || !allowed.has(origin)) return OTHERS;
    return { ...OTHERS, "access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED_HEADERS };
  };
  return {
    headers,
    apply(c, response) {
      for (const [name, value] of Object.entries(headers(c.req.raw.headers.get("origin")))) {
        response.headers.append(name, value);
      }
      return response;
    },
    preflight(c, methods) {
      const origin = c.req.raw.headers.get("origin");
      if (origin === null || !allowed.has(origin) || c.req.raw.headers.get("access-control-request-method") === null)
        return undefined;
      return {
        vary: "origin",
        "access-control-allow-origin": origin,
        "access-control-allow-methods": methods.join(", "),
        "access-control-allow-headers": REQUEST_HEADERS,
        "access-control-max-age": PREFLIGHT_SECONDS,
      };
    },
  };
}

// Cross-origin requests: allowed for exactly the origins that are configured, and not spoken of to others.
import type { Context } from "hono";
import type { ApiEnv } from "./env.ts";

export interface Cors {
  /** Adds the headers to an answer when its request came from an allowed origin. */
  apply(c: Context<ApiEnv>, response: Response): Response;
  /** Headers of a preflight's answer, or `undefined` when the origin is not allowed or it is none. */
  preflight(c: Context<ApiEnv>, methods: readonly string[]): Record<string, string> | undefined;
}

const REQUEST_HEADERS = "authorization, content-type, idempotency-key, prefer";
const EXPOSED_HEADERS = "location, retry-after, idempotent-replayed";
const PREFLIGHT_SECONDS = "600";

export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins);
  if (allowed.size === 0) return { apply: (_c, response) => response, preflight: () => undefined };
  const originOf = (c: Context<ApiEnv>) => {
    const origin = c.req.raw.headers.get("origin");
    return origin !== null && allowed.has(origin) ? origin : undefined;
  };
  return {
    apply(c, response) {
      response.headers.append("vary", "origin");
      const origin = originOf(c);
      if (origin !== undefined) {
        response.headers.set("access-control-allow-origin", origin);
        response.headers.set("access-control-expose-headers", EXPOSED_HEADERS);
      }
      return response;
    },
    preflight(c, methods) {
      const origin = originOf(c);
      if (origin === undefined || c.req.raw.headers.get("access-control-request-method") === null) return undefined;
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

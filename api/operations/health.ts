// For load balancers and operators: is the process up, can it serve, and what does it measure.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "@hono/zod-openapi";
import { CATALOG_SALE_ID } from "../../engine/catalogue/sales.ts";
import { OnrushError } from "../../engine/errors.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer, SECURITY_HEADERS } from "../http/answer.ts";
import { documentEndpoint, type Edge, type EndpointDocs, route } from "../http/endpoint.ts";

const TAG = "Operations";
const CHECK_TIMEOUT_MS = 1_000;
const health = z.object({ status: z.literal("ok") }).openapi("Health");

export function healthRoutes(edge: Edge, deps: ApiDependencies): void {
  const { pool, redis, engine, isStopping = () => false } = deps;
  const docs = (path: string, summary: string, schema?: z.ZodType): EndpointDocs => ({
    method: "get",
    path,
    summary,
    tag: TAG,
    access: "public",
    answers: { 200: { description: summary, ...(schema && { schema }) } },
  });

  documentEndpoint(edge, docs("/healthz", "The process is up", health));
  route(edge, "get", "/healthz", () => jsonAnswer({ status: "ok" }));

  documentEndpoint(
    edge,
    docs("/readyz", "Redis and Postgres answer, Redis fits ACK_MODE, and the catalogue is loaded; else 503", health),
  );
  route(edge, "get", "/readyz", async () => {
    const [redisAnswers, postgresAnswers] = await Promise.all([
      inTime(() => redis.ping()),
      inTime(() => pool.query("SELECT 1")),
    ]);
    const checks = {
      redis: redisAnswers,
      postgres: postgresAnswers,
      durability: engine.durability.server.closed === undefined,
      catalogue: engine.catalogue.sale(CATALOG_SALE_ID) !== undefined,
      accepting: !isStopping(),
    };
    if (!Object.values(checks).every(Boolean)) {
      const { reason } = engine.durability.server;
      throw new OnrushError("OVERLOADED", "This process cannot serve at the moment.", {
        checks,
        ...(reason !== undefined && { reason }),
      });
    }
    return jsonAnswer({ status: "ok" });
  });

  documentEndpoint(edge, docs("/metrics", "Metrics in Prometheus' text format"));
  route(edge, "get", "/metrics", async () => {
    const { registry } = edge.metrics;
    const headers = { ...SECURITY_HEADERS, "content-type": registry.contentType };
    return new Response(await registry.metrics(), { headers });
  });
}

/** Whether the check succeeds within a second. */
async function inTime(check: () => Promise<unknown>): Promise<boolean> {
  const timeout = new AbortController();
  try {
    return await Promise.race([
      check().then(
        () => true,
        () => false,
      ),
      sleep(CHECK_TIMEOUT_MS, false, { signal: timeout.signal }),
    ]);
  } finally {
    timeout.abort();
  }
}

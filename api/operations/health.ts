// For load balancers and operators: is the process up, can it serve, and what does it measure.
import { z } from "@hono/zod-openapi";
import { CATALOG_SALE_ID } from "../../engine/catalogue/sales.ts";
import { OnrushError } from "../../engine/errors.ts";
import { askServers, type Health, healthOf } from "../../engine/instances/health.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer, SECURITY_HEADERS } from "../http/answer.ts";
import { documentEndpoint, type Edge, type EndpointDocs, route } from "../http/endpoint.ts";

const TAG = "Operations";
const health = z.object({ status: z.literal("ok") }).openapi("Health");

export function healthRoutes(edge: Edge, deps: ApiDependencies): void {
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
    const { ready, ...facts } = await apiHealth(deps);
    if (!ready) throw new OnrushError("OVERLOADED", "This process cannot serve at the moment.", facts);
    return jsonAnswer({ status: "ok" });
  });

  documentEndpoint(edge, docs("/metrics", "Metrics in Prometheus' text format"));
  route(edge, "get", "/metrics", async () => {
    const { registry } = edge.metrics;
    const headers = { ...SECURITY_HEADERS, "content-type": registry.contentType };
    return new Response(await registry.metrics(), { headers });
  });
}

/** How this process stands: what `/readyz` answers by. */
export async function apiHealth({
  pool,
  redis,
  engine,
  isStopping = () => false,
}: Pick<ApiDependencies, "pool" | "redis" | "engine" | "isStopping">): Promise<Health> {
  const checks = {
    ...(await askServers(redis, pool)),
    durability: engine.durability.server.closed === undefined,
    catalogue: engine.catalogue.sale(CATALOG_SALE_ID) !== undefined,
    accepting: !isStopping(),
  };
  const health = healthOf(checks);
  return health.ready ? health : healthOf(checks, engine.durability.server.reason);
}

// How the shop stands.
import { z } from "@hono/zod-openapi";
import { SALE_STATES } from "../../engine/catalogue/sale-state.ts";
import { readOverview } from "../../engine/ledger/overview.ts";
import { ORDER_STATUSES } from "../../engine/order-state.ts";
import { countJobs, QUEUE_NAMES } from "../../engine/outbox/jobs.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { ADMIN_TAG } from "./audit-routes.ts";

const partition = z
  .object({
    saleId: z.string(),
    partition: z.int(),
    state: z.enum(["new", "live", "suspended"]),
    reason: z.string().nullable(),
    lag: z.int().nullable().openapi({ description: "Entries of the log that Postgres does not have" }),
    backlog: z.int().nullable().openapi({ description: "Accepted orders that Postgres does not have" }),
    drift: z
      .int()
      .nullable()
      .openapi({ description: "Units by which Redis and the ledger differ; null while entries are on their way" }),
  })
  .openapi("PartitionStanding");
const overview = z
  .object({
    sales: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        state: z.enum([...SALE_STATES, "lost"]),
        available: z.int().nullable(),
        partitions: z.array(partition),
      }),
    ),
    orders: z.partialRecord(z.enum(ORDER_STATUSES), z.int()).openapi({ description: "Those that are at no end" }),
    oldestUnfinished: z.object({ id: z.string(), status: z.enum(ORDER_STATUSES), placedAt: z.string() }).nullable(),
    openDeadLetters: z.int(),
    refunds: z
      .object({ pending: z.int(), failed: z.int(), oldestPendingSeconds: z.number().nullable() })
      .openapi({ description: "Those that are at no end; failed ones are among the dead letters" }),
    queues: z.array(
      z.object({
        queue: z.enum(QUEUE_NAMES as [string, ...string[]]),
        waiting: z.int(),
        active: z.int(),
        failed: z.int(),
        oldestWaitingSeconds: z.number().nullable(),
      }),
    ),
    findings: z.array(z.string()).openapi({ description: "What an operator should look at; empty: nothing" }),
  })
  .openapi("Overview");
export function overviewRoutes(edge: Edge, { pool, engine }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/overview",
      summary: "How the shop stands",
      description:
        "What is on its way between Redis and Postgres, what waits for an end, and what waits for an operator.",
      tag: ADMIN_TAG,
      access: "operator",
      answers: { 200: { description: "The overview", schema: overview } },
    },
    async () => jsonAnswer({ ...(await readOverview(pool, engine.stock)), queues: await countJobs(pool) }),
  );
}

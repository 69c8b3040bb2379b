// The rebuild of a sale's stock in Redis, asked for over the API. A persister carries it out and leaves its report in
// Postgres: an API process that dies, or a client that goes away, changes nothing about it.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "@hono/zod-openapi";
import {
  findRebuild,
  listRebuilds,
  REBUILD_STATES,
  type Rebuild,
  requestRebuild,
} from "../../engine/ledger/rebuilds.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, uuid } from "../http/fields.ts";
import { readWaitSeconds } from "../orders/prefer.ts";
import { knownSale } from "../sales/routes.ts";
import { RECOVERY_TAG } from "./honour-route.ts";

const PATH = "/api/v1/admin/sales/{id}";
const LOOK_EVERY_MS = 100;

const partitionReport = z
  .object({
    saleId: z.string(),
    partition: z.int(),
    from: z.object({ epoch: z.int(), seq: z.int() }).openapi({ description: "Where Postgres stands in the old log" }),
    survivors: z.int().openapi({ description: "Movements of the old log that Postgres did not have yet" }),
    lost: z.object({ fromSeq: z.int(), toSeq: z.int() }).optional().openapi({ description: "Acknowledged, and gone" }),
    heldBack: z
      .record(z.string(), z.int())
      .openapi({ description: "Units by product, for the receipts of lost orders" }),
    holds: z.int(),
    stock: z.array(
      z.object({ productId: z.string(), available: z.int(), reserved: z.int(), sold: z.int(), undelivered: z.int() }),
    ),
    epoch: z.int().optional().openapi({ description: "The new one; not in a plan" }),
  })
  .openapi("PartitionRebuild");

const rebuildSchema = z
  .object({
    id: z.string(),
    saleId: z.string(),
    apply: z.boolean(),
    state: z.enum(REBUILD_STATES),
    actor: z.string(),
    requestedAt: z.string(),
    endedAt: z.string().optional(),
    error: z.string().optional(),
    reports: z.array(partitionReport).openapi({ description: "One a partition" }),
  })
  .openapi("Rebuild");
const rebuildPage = z
  .object({ items: z.array(rebuildSchema), nextCursor: z.string().optional() })
  .openapi("RebuildPage");
const request = z
  .object({
    apply: z.boolean().default(false).openapi({ description: "Without it, a plan: nothing is changed" }),
  })
  .openapi("RebuildRequest");

export function rebuildRoutes(edge: Edge, deps: ApiDependencies): void {
  const { pool, engine } = deps;

  endpoint(
    edge,
    {
      method: "post",
      path: `${PATH}/rebuild`,
      summary: "Rebuild a sale's stock in Redis from Postgres",
      description:
        "For a Redis that was wiped, restored from a backup, or failed over to a lagging replica (orders are answered with " +
        "STOCK_UNAVAILABLE then). With `apply`, the sale is closed while it runs, and open again after it, under a new " +
        "epoch; orders that were acknowledged and are lost are declared, and their units held back for their receipts. A " +
        "persister carries it out, and its report appears in the list of the sale's rebuilds; with `Prefer: wait=N` it is " +
        "waited for up to N seconds (1 to 30), and answered with 200 when it came.",
      tag: RECOVERY_TAG,
      access: "admin",
      headers: z.object({ prefer: z.string().optional() }),
      body: request,
      answers: {
        200: { description: "The rebuild, at its end", schema: rebuildSchema },
        202: { description: "The rebuild, queued or under way", schema: rebuildSchema },
      },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, body: { apply }, caller }) => {
      const sale = knownSale(engine.catalogue, c.req.param("id"));
      const id = randomUUID();
      await requestRebuild(pool, { id, saleId: sale.id, apply, actor: caller.customerId });
      const giveUpAt = performance.now() + (readWaitSeconds(c.req.header("prefer")) ?? 0) * 1_000;
      let rebuild = await findRebuild(pool, id);
      while (rebuild?.state === "queued" && performance.now() < giveUpAt && !deps.isStopping?.()) {
        await sleep(LOOK_EVERY_MS);
        rebuild = await findRebuild(pool, id);
      }
      if (!rebuild) throw new Error(`the rebuild ${id} is gone`);
      if (rebuild.state !== "queued" && apply) await engine.catalogue.refresh();
      const location = `/api/v1/admin/sales/${sale.id}/rebuilds`;
      return jsonAnswer(representRebuild(rebuild), rebuild.state === "queued" ? 202 : 200, { location });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: `${PATH}/rebuilds`,
      summary: "List a sale's rebuilds",
      description: "Those that were asked for over the API, newest first, with their reports.",
      tag: RECOVERY_TAG,
      access: "admin",
      query: page,
      answers: { 200: { description: "A page", schema: rebuildPage } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, query: { limit, cursor } }) => {
      const sale = knownSale(engine.catalogue, c.req.param("id"));
      const before = cursor === undefined ? undefined : decodeCursor(cursor, uuid);
      const rebuilds = await listRebuilds(pool, sale.id, limit + 1, before);
      const last = rebuilds.length > limit ? rebuilds[limit - 1] : undefined;
      return jsonAnswer({
        items: rebuilds.slice(0, limit).map(representRebuild),
        ...(last && { nextCursor: encodeCursor(last.id) }),
      });
    },
  );
}

function representRebuild({ endedAt, error, ...rebuild }: Rebuild) {
  return { ...rebuild, ...(endedAt && { endedAt }), ...(error !== null && { error }) };
}

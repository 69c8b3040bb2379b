// What the reconciler sees: the last pass over each partition and the drifts that are open, for operators and for
// Prometheus. The worker compares and writes rows; every process of the API reads the same ones.
import { z } from "@hono/zod-openapi";
import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../engine/ledger/database.ts";
import { DRIFT_KINDS } from "../../engine/reconciliation/drift.ts";
import { countOpenDrifts, listDrifts, listPasses, type RecordedPass } from "../../engine/reconciliation/results.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page } from "../http/fields.ts";
import { sharedRows } from "./shared-rows.ts";

const TAG = "Operations";

const partition = { saleId: z.string(), partition: z.int() };
const pass = z
  .object({
    ...partition,
    verdict: z.enum(["CLEAN", "DRIFT", "UNCERTAIN"]),
    reason: z.string().nullable().openapi({ description: "Why nothing can be said; else null" }),
    epoch: z.int().nullable(),
    seq: z.int().nullable().openapi({ description: "The number of the log at which both were compared last" }),
    passes: z.int(),
    durationMs: z.number(),
    at: z.string(),
    ageMs: z.number(),
    verdictSince: z.string(),
  })
  .openapi("ReconciliationPass");
const drift = z
  .object({
    id: z.int(),
    ...partition,
    kind: z.enum(DRIFT_KINDS),
    subject: z.string().openapi({ description: "kind:id, such as `order:<id>`, `product:<id>`, `log:<epoch>-<seq>`" }),
    detail: z.string(),
    foundAt: z.string(),
    seenAt: z.string(),
    endedAt: z.string().nullable(),
  })
  .openapi("Drift");
const answer = z
  .object({ partitions: z.array(pass), items: z.array(drift), nextCursor: z.string().optional() })
  .openapi("Reconciliation");
const position = z.int().min(1);
const query = page.extend({ state: z.enum(["open", "ended", "all"]).default("open") });

export function reconciliationRoutes(edge: Edge, { pool }: ApiDependencies): void {
  exposeReconciliation(edge.metrics.registry, pool);
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/reconciliation",
      summary: "Where Redis and the ledger differ",
      description:
        "The last comparison of each partition, and drifts, newest first: each from the first pass that saw it for " +
        "certain to the one that no longer did. `onrush stock reconcile --apply` mends them.",
      tag: TAG,
      access: "admin",
      query,
      answers: { 200: { description: "The passes, and a page of drifts", schema: answer } },
    },
    async ({ query: { limit, cursor, state } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const open = state === "all" ? undefined : state === "open";
      const items = await listDrifts(pool, { open, limit: limit + 1, before });
      const last = items.length > limit ? items[limit - 1] : undefined;
      return jsonAnswer({
        partitions: await listPasses(pool),
        items: items.slice(0, limit),
        ...(last && { nextCursor: encodeCursor(last.id) }),
      });
    },
  );
}

const VERDICT_VALUES = { CLEAN: 0, DRIFT: 1, UNCERTAIN: 2 } as const;

function exposeReconciliation(registry: Registry, db: Queryable): void {
  const labelNames = ["sale", "partition"] as const;
  const passes = sharedRows(() => listPasses(db));
  const gauge = (name: string, help: string, value: (of: RecordedPass) => number) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const rows = (await passes()) ?? [];
        this.reset();
        for (const row of rows) this.set({ sale: row.saleId, partition: String(row.partition) }, value(row));
      },
    });
  gauge("onrush_reconciliation_age_seconds", "Since the last comparison ended", ({ ageMs }) => ageMs / 1_000);
  gauge("onrush_reconciliation_duration_seconds", "How long the last comparison took", (row) => row.durationMs / 1_000);
  gauge(
    "onrush_reconciliation_verdict",
    "Of the last comparison: 0 clean, 1 drift, 2 it could not be made",
    ({ verdict }) => VERDICT_VALUES[verdict],
  );
  new Gauge({
    name: "onrush_reconciliation_drift",
    help: "Open drifts between Redis and the ledger, by kind",
    labelNames: [...labelNames, "kind"] as const,
    registers: [registry],
    async collect() {
      const rows = await countOpenDrifts(db).catch(() => []);
      this.reset();
      for (const { saleId, partition: of, kind, count } of rows) {
        this.set({ sale: saleId, partition: String(of), kind }, count);
      }
    },
  });
}

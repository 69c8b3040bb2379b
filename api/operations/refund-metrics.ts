// Refunds that are not at their end, for Prometheus: what alarms are made of. Every process of the API reads the same rows.
import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../engine/ledger/database.ts";
import { countOpenRefunds } from "../../engine/ledger/refunds.ts";
import { sharedRows } from "./shared-rows.ts";

export function exposeRefunds(registry: Registry, db: Queryable): void {
  const counts = sharedRows(() => countOpenRefunds(db));
  new Gauge({
    name: "onrush_refunds",
    help: "Refunds that are not at their end; failed: the money is owed until an operator's replay succeeds",
    labelNames: ["state"] as const,
    registers: [registry],
    async collect() {
      const open = await counts();
      this.reset();
      if (!open) return;
      this.set({ state: "pending" }, open.pending);
      this.set({ state: "failed" }, open.failed);
    },
  });
  new Gauge({
    name: "onrush_refunds_oldest_pending_seconds",
    help: "How long the oldest refund that is under way has waited for its money",
    registers: [registry],
    async collect() {
      this.set((await counts())?.oldestPendingSeconds ?? 0);
    },
  });
}

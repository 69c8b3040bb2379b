// Webhooks that are not at their end, and endpoints that fail, for Prometheus: what alarms are made of.
import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../engine/ledger/database.ts";
import { countWebhooks } from "../../engine/webhooks/deliveries.ts";
import { sharedRows } from "./shared-rows.ts";

export function exposeWebhooks(registry: Registry, db: Queryable): void {
  const counts = sharedRows(() => countWebhooks(db));
  new Gauge({
    name: "onrush_webhook_endpoints",
    help: "Webhook endpoints; failing: nothing is taken; disabled: nothing was, for a day",
    labelNames: ["state"] as const,
    registers: [registry],
    async collect() {
      const now = await counts();
      this.reset();
      if (!now) return;
      this.set({ state: "enabled" }, now.enabled);
      this.set({ state: "failing" }, now.failing);
      this.set({ state: "disabled" }, now.disabled);
    },
  });
  new Gauge({
    name: "onrush_webhook_deliveries",
    help: "Webhooks that are not delivered; dead: their tries have ended, until a replay",
    labelNames: ["state"] as const,
    registers: [registry],
    async collect() {
      const now = await counts();
      this.reset();
      if (!now) return;
      this.set({ state: "pending" }, now.pending);
      this.set({ state: "dead" }, now.dead);
    },
  });
  new Gauge({
    name: "onrush_webhook_oldest_pending_seconds",
    help: "How long the oldest webhook that is not delivered has been due",
    registers: [registry],
    async collect() {
      this.set((await counts())?.oldestPendingSeconds ?? 0);
    },
  });
}

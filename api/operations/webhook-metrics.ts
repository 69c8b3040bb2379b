// Webhooks that are not at their end, and endpoints that fail, for Prometheus: what alarms are made of.
import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../engine/ledger/database.ts";
import { countWebhooks, type WebhookCounts } from "../../engine/webhooks/deliveries.ts";

/** One scrape asks several metrics for the same rows. */
const ROWS_AGE_MS_MAX = 500;

export function exposeWebhooks(registry: Registry, db: Queryable): void {
  let read: { at: number; counts: Promise<WebhookCounts | undefined> } | undefined;
  // While Postgres is away the scrape is answered all the same, without these.
  const counts = () => {
    if (!read || performance.now() - read.at > ROWS_AGE_MS_MAX) {
      read = { at: performance.now(), counts: countWebhooks(db).catch(() => undefined) };
    }
    return read.counts;
  };
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

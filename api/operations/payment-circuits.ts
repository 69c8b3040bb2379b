// The workers' circuit breakers around their payment providers, for Prometheus. The workers write rows; every process of the
// API reads the same ones.
import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../engine/ledger/database.ts";
import { listBroken } from "../../engine/ledger/payment-circuits.ts";

export function exposePaymentCircuits(registry: Registry, db: Queryable): void {
  new Gauge({
    name: "onrush_payment_circuits_broken",
    help: "Workers whose circuit to the payment provider is not closed, by circuit and status",
    labelNames: ["circuit", "status"] as const,
    registers: [registry],
    async collect() {
      // While Postgres is away the scrape is answered all the same, without these.
      const rows = await listBroken(db).catch(() => []);
      this.reset();
      for (const { circuit, status, workers } of rows) this.set({ circuit, status }, workers);
    },
  });
}

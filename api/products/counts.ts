// Where products were read from, as Prometheus sees it.
import { Counter, type Registry } from "prom-client";
import type { ProductReads } from "../../engine/catalogue/read-model/reads.ts";

/** Adds the counts to what is scraped. */
export function exposeProductReads(
  registry: Registry,
  { reads, searches }: Pick<ProductReads, "reads" | "searches">,
): void {
  new Counter({
    name: "onrush_product_reads_total",
    help: "Products read: hit from a copy in Redis; miss and fallback from Postgres, for want of a copy or of Redis",
    labelNames: ["outcome"] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(reads)) this.inc({ outcome }, count);
    },
  });
  new Counter({
    name: "onrush_product_searches_total",
    help: "Searches for products, by what answered them",
    labelNames: ["by"] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const [by, count] of Object.entries(searches)) this.inc({ by }, count);
    },
  });
}

// What Prometheus scrapes: the process, requests by route and status, orders by what became of them. Labels come from
// closed sets only (routes as declared, statuses, codes), so that no caller can make the series grow.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export interface RequestMetrics {
  readonly registry: Registry;
  /** Makes the observer of one route's requests. */
  route(method: string, path: string): (status: number, durationMs: number) => void;
  /** Counts an order by its outcome: `accepted`, `replayed`, or a refusal's code. */
  order(outcome: string): void;
  /** All that were counted since the start. */
  readonly orders: number;
}

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** `waiting`: orders that wait for admission now. */
export function createMetrics(waiting: () => number): RequestMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: "onrush_http_request_duration_seconds",
    help: "Requests by route and status, and how long they took",
    labelNames: ["method", "route", "status"] as const,
    buckets: BUCKETS_SECONDS,
    registers: [registry],
  });
  // Counted in a map of our own and handed over when scraped: an increment there costs no hashing of labels.
  const outcomes = new Map<string, number>();
  new Counter({
    name: "onrush_orders_total",
    help: "Orders asked for, by outcome",
    labelNames: ["outcome"] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const [outcome, count] of outcomes) this.inc({ outcome }, count);
    },
  });
  new Gauge({
    name: "onrush_orders_waiting",
    help: "Orders that wait for admission",
    registers: [registry],
    collect() {
      this.set(waiting());
    },
  });
  return {
    registry,
    route(method, path) {
      const labels = new Map<number, { method: string; route: string; status: string }>();
      return (status, durationMs) => {
        let of = labels.get(status);
        if (!of) {
          of = { method, route: path, status: String(status) };
          labels.set(status, of);
        }
        requests.observe(of, durationMs / 1_000);
      };
    },
    order(outcome) {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    },
    get orders() {
      return [...outcomes.values()].reduce((sum, count) => sum + count, 0);
    },
  };
}

// The figures that a run produces, and the speed budget that their ratios are held against.
import { type Spread, spreadOf } from "./statistics.ts";

/** What can be asked for by `--only`, and what each one is. */
export const SCENARIOS = {
  noop: "a no-op JSON POST on the same stack",
  limits: "the same without a framework, and Redis given the bytes of orders",
  accept: "accepted orders over HTTP, admission alone",
  soldout: "answers of a sold-out sale, without a key",
  soldout_keyed: "answers of a sold-out sale, with a key",
  accept_p99: "time to the 202, and to a sold-out answer, at half the measured rate",
  latency: "the same at 25, 50, 75 and 90 %, and with everything running",
  rush: "a sale in which one buyer in a hundred wins",
  carts: "orders of five lines",
  connections: "accepted orders over 1 to 1,024 connections",
  ack_modes: "accepted orders by what their acknowledgement means",
  tokens: "orders of members with tokens, beside those of guests",
  engine_direct: "the engine as a library, batched",
  engine_single: "the same, one order a script call",
  persist: "the log into Postgres, payment work enqueued",
  persist_raw: "bulk inserts of the same rows",
  persist_copy: "COPY of the same rows",
  pg_row: "a Postgres transaction an order, one hot row",
  pg_skip_locked: "the same with a row a unit and SKIP LOCKED",
  redis_lock: "a lock in Redis around a read-modify-write in Postgres",
  bullmq: "DECRBY in Redis and a BullMQ job an order, until the worker has written it to Postgres",
  peers_killed: "what the peers lose when they, their Redis or their Postgres are killed",
  accept_all: "accepted in a burst, everything running",
  ws: "an order's transition to its buyer's socket",
  cold_start: "from npm start to the first accepted order",
  full_load: "memory of the API over ten minutes of full load",
  sustained: "a steady rate from acceptance to CONFIRMED, and one order with nothing else to do",
  expiry: "reservations that all end at once, beside a steady stream",
  scale: "processor time an order, from a thousand orders in the sale to a million",
  skus: "the same, from one product in the sale to a thousand",
  memory: "bytes an order in Redis, live and at its end",
  catalogue: "50,000 products imported by the CLI, then searched",
  reconcile: "the reconciler beside 2,000 orders a second",
} as const;
export type Scenario = keyof typeof SCENARIOS;

/** Keys of the JSON; those without a scenario here yet are left out. */
export const FIGURES = {
  noop_rps: { label: "no-op POST", unit: "req/s" },
  node_http_rps: { label: "  without a framework", unit: "req/s" },
  redis_benchmark_ops: { label: "Redis given the bytes of orders", unit: "orders/s" },
  redis_order_bytes: { label: "  bytes that an order sends it", unit: "bytes" },
  accept_rps: { label: "accepted, admission alone", unit: "orders/s" },
  accept_p50_ms: { label: "  p50 at half that rate", unit: "ms" },
  accept_p99_ms: { label: "  p99", unit: "ms" },
  accept_p999_ms: { label: "  p99.9", unit: "ms" },
  accept_lag_p99_ms: { label: "  p99 of the generator's own lag", unit: "ms" },
  soldout_rps: { label: "sold out, unkeyed", unit: "req/s" },
  soldout_p99_ms: { label: "  p99 at half that rate", unit: "ms" },
  soldout_keyed_rps: { label: "sold out, keyed", unit: "req/s" },
  rush_rps: { label: "a rush, one in a hundred wins", unit: "req/s" },
  carts_rps: { label: "orders of five lines", unit: "orders/s" },
  guest_rps: { label: "orders of 500 guests", unit: "orders/s" },
  token_rps: { label: "orders of 500 members with tokens", unit: "orders/s" },
  engine_direct_ops: { label: "engine, batched", unit: "orders/s" },
  engine_single_ops: { label: "engine, one order a call", unit: "orders/s" },
  persist_ops: { label: "persisted, payment enqueued", unit: "orders/s" },
  persist_raw_ops: { label: "bulk inserts of the same rows", unit: "orders/s" },
  persist_copy_ops: { label: "COPY of the same rows", unit: "orders/s" },
  pg_row_rps: { label: "Postgres hot row", unit: "orders/s" },
  pg_skip_locked_rps: { label: "Postgres unit rows, SKIP LOCKED", unit: "orders/s" },
  redis_lock_rps: { label: "Redis lock around Postgres", unit: "orders/s" },
  bullmq_accept_rps: { label: "Redis DECRBY and a BullMQ job, accepted", unit: "orders/s" },
  bullmq_rps: { label: "  until all are in Postgres", unit: "orders/s" },
  accept_all_rps: { label: "accepted, everything running", unit: "orders/s" },
  accept_all_p99_ms: { label: "  p99 at half that rate", unit: "ms" },
  accept_all_durable_rps: { label: "  until all are in Postgres", unit: "orders/s" },
  accept_all_drained_rps: { label: "  until all are at an end", unit: "orders/s" },
  confirmed_ops: { label: "  CONFIRMED while draining", unit: "orders/s" },
  ws_p50_ms: { label: "a transition to its buyer's socket, p50", unit: "ms" },
  ws_p99_ms: { label: "  p99", unit: "ms" },
  ws_sockets: { label: "  sockets", unit: "sockets" },
  ws_orders_rps: { label: "  orders meanwhile", unit: "orders/s" },
  cold_start_ms: { label: "npm start to the first order", unit: "ms" },
  warm_start_ms: { label: "  again", unit: "ms" },
  api_rss_mb: { label: "memory of the API at full load, at most", unit: "MB" },
  api_rss_growth_mb: { label: "  last quarter against the second", unit: "MB" },
  sustained_ops: { label: "accepted to CONFIRMED, sustained", unit: "orders/s" },
  sustained_p50_ms: { label: "  from the acceptance to CONFIRMED, p50", unit: "ms" },
  sustained_p99_ms: { label: "    p99", unit: "ms" },
  idle_confirmed_p50_ms: { label: "one order with nothing else to do, to CONFIRMED, p50", unit: "ms" },
  idle_confirmed_p99_ms: { label: "    p99", unit: "ms" },
  expiry_orders: { label: "expired at once", unit: "orders" },
  expiry_seconds: { label: "  from the deadline to the last CANCELLED", unit: "s" },
  expiry_same_p50_ms: { label: "  order in the same sale meanwhile, p50", unit: "ms" },
  expiry_same_p99_ms: { label: "    p99", unit: "ms" },
  expiry_other_p50_ms: { label: "  order in another sale meanwhile, p50", unit: "ms" },
  expiry_other_p99_ms: { label: "    p99", unit: "ms" },
  steady_same_p50_ms: { label: "  the same sale without, p50", unit: "ms" },
  steady_same_p99_ms: { label: "    p99", unit: "ms" },
  steady_other_p50_ms: { label: "  another sale without, p50", unit: "ms" },
  steady_other_p99_ms: { label: "    p99", unit: "ms" },
  cost_1k_us: { label: "an order after 1,000 in its sale", unit: "us" },
  cost_admission_1k_us: { label: "  engine and Redis", unit: "us" },
  cost_persister_1k_us: { label: "  persister and its Postgres connections", unit: "us" },
  cost_10k_us: { label: "an order after 10,000 in its sale", unit: "us" },
  cost_admission_10k_us: { label: "  engine and Redis", unit: "us" },
  cost_persister_10k_us: { label: "  persister and its Postgres connections", unit: "us" },
  cost_100k_us: { label: "an order after 100,000 in its sale", unit: "us" },
  cost_admission_100k_us: { label: "  engine and Redis", unit: "us" },
  cost_persister_100k_us: { label: "  persister and its Postgres connections", unit: "us" },
  cost_1m_us: { label: "an order after 1,000,000 in its sale", unit: "us" },
  cost_admission_1m_us: { label: "  engine and Redis", unit: "us" },
  cost_persister_1m_us: { label: "  persister and its Postgres connections", unit: "us" },
  import_seconds: { label: "50,000 products imported", unit: "s" },
  import_postgres_cpu_seconds: { label: "  processor time of Postgres", unit: "s" },
  import_memory_mb: { label: "  memory of the CLI, at most", unit: "MB" },
  import_again_seconds: { label: "  the same file again", unit: "s" },
  search_p50_ms: { label: "search over them, p50", unit: "ms" },
  search_p99_ms: { label: "  p99", unit: "ms" },
  search_cpu_ms: { label: "  processor time of the API and Postgres", unit: "ms" },
  reconcile_rps: { label: "accepted beside the reconciler", unit: "orders/s" },
  reconcile_passes: { label: "  comparisons", unit: "passes" },
  reconcile_uncertain: { label: "  that could not be made", unit: "passes" },
  reconcile_drifts: { label: "  drifts seen", unit: "drifts" },
  reconcile_postgres_cpu: { label: "  processor time on its Postgres connections", unit: "of a core" },
  reconcile_found_ms: { label: "  a change made by hand: found after", unit: "ms" },
  memory_live_bytes: { label: "a live order in Redis", unit: "bytes" },
  memory_confirmed_bytes: { label: "  CONFIRMED", unit: "bytes" },
  memory_cancelled_bytes: { label: "  CANCELLED", unit: "bytes" },
  memory_bought_bytes: { label: "  CONFIRMED, buckets turned", unit: "bytes" },
  memory_gone_bytes: { label: "  CANCELLED, buckets turned", unit: "bytes" },
} as const;
export type Figure = keyof typeof FIGURES;

export interface RatioDefinition {
  readonly label: string;
  readonly of: Figure;
  readonly to: Figure;
  readonly floor: number;
  readonly target: number;
}

export const RATIOS = {
  accept_to_noop: { label: "accepted / no-op", of: "accept_rps", to: "noop_rps", floor: 0.45, target: 0.6 },
  accept_all_to_noop: { label: "everything / no-op", of: "accept_all_rps", to: "noop_rps", floor: 0.15, target: 0.25 },
  accept_all_to_pg_row: { label: "everything / hot row", of: "accept_all_rps", to: "pg_row_rps", floor: 7, target: 12 },
  accept_all_to_pg_skip_locked: {
    label: "everything / unit rows",
    of: "accept_all_rps",
    to: "pg_skip_locked_rps",
    floor: 3,
    target: 6,
  },
  accept_all_to_redis_lock: {
    label: "everything / lock",
    of: "accept_all_rps",
    to: "redis_lock_rps",
    floor: 6,
    target: 12,
  },
  accept_all_to_bullmq: {
    label: "in Postgres: everything / BullMQ",
    of: "accept_all_durable_rps",
    to: "bullmq_rps",
    floor: 3,
    target: 5,
  },
  soldout_to_noop: { label: "sold out / no-op", of: "soldout_rps", to: "noop_rps", floor: 0.85, target: 0.95 },
  soldout_keyed_to_noop: {
    label: "sold out, keyed / no-op",
    of: "soldout_keyed_rps",
    to: "noop_rps",
    floor: 0.5,
    target: 0.7,
  },
  token_to_guest: { label: "with a token / as a guest", of: "token_rps", to: "guest_rps", floor: 0.9, target: 0.95 },
  engine_direct_to_single: {
    label: "batched / one a call",
    of: "engine_direct_ops",
    to: "engine_single_ops",
    floor: 2,
    target: 3,
  },
  flat_admission: {
    label: "admission at 10^3 / at 10^6",
    of: "cost_admission_1k_us",
    to: "cost_admission_1m_us",
    floor: 0.83,
    target: 0.95,
  },
  flat_persister: {
    label: "persister at 10^3 / at 10^6",
    of: "cost_persister_1k_us",
    to: "cost_persister_1m_us",
    floor: 0.83,
    target: 0.95,
  },
  persist_to_raw: { label: "persisted / bulk", of: "persist_ops", to: "persist_raw_ops", floor: 0.6, target: 0.8 },
} as const satisfies Record<string, RatioDefinition>;
export type RatioName = keyof typeof RATIOS;

/** The budget's absolute line. */
export const CONFIRMED_BUDGET = { floor: 3_000, target: 5_000 } as const;

/** Figures that have to stay below something: `floor` at least, `target` at best. */
export const CEILINGS: Partial<Record<Figure, { readonly floor: number; readonly target: number }>> = {
  accept_p99_ms: { floor: 15, target: 15 },
  soldout_p99_ms: { floor: 10, target: 10 },
  ws_p99_ms: { floor: 250, target: 100 },
  idle_confirmed_p99_ms: { floor: 500, target: 200 },
  api_rss_mb: { floor: 300, target: 300 },
};

interface Sample {
  readonly round: string;
  readonly figure: Figure;
  readonly value: number;
}

/** Measurements by round. A ratio is taken within a round, between neighbours in time. */
export class Measurements {
  readonly #samples: Sample[] = [];

  add(round: string, figure: Figure, value: number): void {
    this.#samples.push({ round, figure, value });
  }

  figure(figure: Figure): Spread | undefined {
    return spreadOf(this.#samples.filter((sample) => sample.figure === figure).map(({ value }) => value));
  }

  ratio({ of, to }: RatioDefinition): Spread | undefined {
    const ratios: number[] = [];
    for (const round of new Set(this.#samples.map((sample) => sample.round))) {
      const dividend = this.#inRound(round, of);
      const divisor = this.#inRound(round, to);
      if (dividend !== undefined && divisor !== undefined) ratios.push(dividend / divisor);
    }
    return spreadOf(ratios);
  }

  #inRound(round: string, figure: Figure): number | undefined {
    const values = this.#samples.filter((sample) => sample.round === round && sample.figure === figure);
    return spreadOf(values.map(({ value }) => value))?.median;
  }
}

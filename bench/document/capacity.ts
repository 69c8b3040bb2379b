// How many machines a rate of orders takes, from what an order costs each process here. A straight line: it holds as far as
// nothing is shared that is not named. Pure, so that the assumptions can be argued with.

/** Parts of the system that take processor time for an order. */
export const PARTS = ["api", "redis", "persister", "worker", "postgres"] as const;
export type Part = (typeof PARTS)[number];

/** Processor time an order, in microseconds. */
export type OrderCosts = Readonly<Record<Part, number>>;

export interface Assumptions {
  /** Share of its core that a process is given: above it, latency grows faster than load. */
  readonly busyShare: number;
  readonly coresPerNode: number;
  /** Cores of the largest Postgres server that is to be had; beyond it sales are spread over several databases. */
  readonly postgresCoresMax: number;
  /** A Redis has a second core for its append-only file and its rewrites. */
  readonly coresPerRedis: number;
}

export const ASSUMPTIONS: Assumptions = { busyShare: 0.6, coresPerNode: 16, postgresCoresMax: 64, coresPerRedis: 2 };

export interface Rates {
  /** Orders accepted: what the API and Redis take. */
  readonly acceptedPerSecond: number;
  /** Orders carried to their end: what persister, worker and Postgres take. Less than what is accepted while a backlog grows. */
  readonly finishedPerSecond: number;
}

export interface Need {
  readonly part: Part;
  /** Cores' worth of work. */
  readonly cores: number;
  /** Processes of one core each at `busyShare`; for Redis partitions, for Postgres cores. */
  readonly processes: number;
  readonly nodes: number;
}

/** What each part needs. @throws when a cost or rate is not a number of at least 0 */
export function capacityFor(rates: Rates, costs: OrderCosts, assumptions: Assumptions = ASSUMPTIONS): Need[] {
  const { busyShare, coresPerNode, postgresCoresMax, coresPerRedis } = assumptions;
  return PARTS.map((part) => {
    const isOfAdmission = part === "api" || part === "redis";
    const perSecond = isOfAdmission ? rates.acceptedPerSecond : rates.finishedPerSecond;
    const cores = (perSecond * costs[part]) / 1e6;
    if (!(cores >= 0)) throw new RangeError(`${part}: ${perSecond} orders/s at ${costs[part]} us`);
    const processes = Math.ceil(Number((cores / busyShare).toFixed(6))); // 1.8 / 0.6 is three, and no more
    const perNode =
      part === "postgres" ? postgresCoresMax : Math.floor(coresPerNode / (part === "redis" ? coresPerRedis : 1));
    return { part, cores, processes, nodes: Math.ceil(processes / perNode) };
  });
}

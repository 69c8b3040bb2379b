// A program that places orders through the library, for scenarios that need more than a rate: a number of orders with the
// processor time they took, and a stream at a fixed rate with the time each order took from when it was due.
import { createEngine } from "../../engine/index.ts";
import { onOrder, report } from "../own-process.ts";

export interface ProgramSale {
  readonly saleId: string;
  readonly productId: string;
  /** All products of the sale when it has several: the orders take them in turn. */
  readonly productIds?: readonly string[];
}

export type ProgramOrder =
  | { readonly type: "open"; readonly redisUrl: string; readonly databaseUrl: string }
  /** Places this many orders, `concurrency` at a time. `burst`: eight hexadecimal digits that make the buyers its own. */
  | {
      readonly type: "place";
      readonly sale: ProgramSale;
      readonly orders: number;
      readonly concurrency: number;
      readonly burst: string;
      readonly later: boolean;
    }
  /** Begins a stream of `perSecond` orders over the sales by turns; answered at once. */
  | {
      readonly type: "stream";
      readonly sales: readonly ProgramSale[];
      readonly perSecond: number;
      readonly burst: string;
    }
  /** Ends the stream and tells its latencies, one list a sale. */
  | { readonly type: "end stream" };

export interface PlacedReport {
  readonly placed: number;
  readonly cpuSeconds: number;
}

/** Milliseconds from when each order was due, sorted; the first second is not counted. */
export interface StreamReport {
  readonly placed: readonly number[];
  readonly latenciesMs: readonly (readonly number[])[];
}

const WARM_UP_MS = 1_000;
const TICK_MS = 1;

type Engine = Awaited<ReturnType<typeof createEngine>>;
let engine: Engine | undefined;
let stream: Stream | undefined;

onOrder<ProgramOrder>(async (order) => {
  if (order.type === "open") {
    const { redisUrl, databaseUrl } = order;
    engine = await createEngine({
      redisUrl,
      databaseUrl,
      receiptSecret: "r".repeat(32),
      admission: { backlogMax: 0 },
    });
    return report({});
  }
  if (!engine) throw new Error("the program was not opened");
  switch (order.type) {
    case "place":
      return report(await place(engine, order));
    case "stream":
      stream = new Stream(engine, order);
      return report({});
    case "end stream":
      return report((await stream?.end()) ?? {});
  }
});

async function place(
  to: Engine,
  { sale, orders, concurrency, burst, later }: ProgramOrder & { type: "place" },
): Promise<PlacedReport> {
  const cpuBefore = process.cpuUsage();
  let made = 0;
  const work = async () => {
    while (made < orders) {
      made += 1;
      await placeOne(to, sale, buyer(burst, made), later, made);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const cpu = process.cpuUsage(cpuBefore);
  return { placed: made, cpuSeconds: (cpu.user + cpu.system) / 1e6 };
}

function placeOne(to: Engine, sale: ProgramSale, customerId: string, later: boolean, turn = 0) {
  const { saleId, productIds = [sale.productId] } = sale;
  const productId = productIds[turn % productIds.length] ?? sale.productId;
  return to.place({
    saleId,
    customerId,
    idempotencyKey: customerId,
    items: [{ productId, quantity: 1 }],
    ...(later && { payment: { method: "later" } }),
    address: { street: "123 Main St", postalCode: "12345", city: "Seoul" },
  });
}

function buyer(burst: string, n: number): string {
  return `${burst}-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
}

/** Open loop: an order goes out when it is due, whatever became of those before it, and is timed from then. */
class Stream {
  readonly #engine: Engine;
  readonly #order: ProgramOrder & { type: "stream" };
  readonly #startedAt = performance.now();
  readonly #latencies: number[][];
  readonly #placed: number[];
  readonly #under = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #made = 0;
  #failure: unknown;

  constructor(to: Engine, order: ProgramOrder & { type: "stream" }) {
    this.#engine = to;
    this.#order = order;
    this.#latencies = order.sales.map(() => []);
    this.#placed = order.sales.map(() => 0);
    this.#timer = setInterval(() => this.#send(), TICK_MS);
  }

  async end(): Promise<StreamReport> {
    clearInterval(this.#timer);
    await Promise.all(this.#under);
    if (this.#failure) throw this.#failure;
    return { placed: this.#placed, latenciesMs: this.#latencies.map((list) => list.toSorted((a, b) => a - b)) };
  }

  #send(): void {
    const { sales, perSecond, burst } = this.#order;
    for (;;) {
      const dueAt = this.#startedAt + (this.#made / perSecond) * 1_000;
      if (dueAt > performance.now()) return;
      const turn = this.#made % sales.length;
      this.#made += 1;
      const under = placeOne(this.#engine, sales[turn] as ProgramSale, buyer(burst, this.#made), true)
        .then(() => {
          this.#placed[turn] = (this.#placed[turn] ?? 0) + 1;
          if (dueAt - this.#startedAt > WARM_UP_MS) this.#latencies[turn]?.push(performance.now() - dueAt);
        })
        .catch((error) => {
          this.#failure = error;
        })
        .finally(() => this.#under.delete(under));
      this.#under.add(under);
    }
  }
}

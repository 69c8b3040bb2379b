// The engine as a library: a program that places orders through it as fast as it answers, without HTTP, as often as it is told.
// The first order it is given opens the engine.
import { createEngine } from "../../engine/index.ts";
import { onOrder, report } from "../own-process.ts";

export interface PlacerOrder {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly saleId: string;
  readonly productId: string;
  /** Eight hexadecimal digits that make this run's buyers its own. */
  readonly burst: string;
  /** Orders that are on their way at the same time. */
  readonly concurrency: number;
  /** One order a script call, with as many calls in flight as orders, instead of batches. */
  readonly single: boolean;
  /** Ends after this many seconds or orders, whichever comes first. */
  readonly seconds: number;
  readonly ordersMax: number;
}

export interface PlacerReport {
  /** All orders placed, the warm-up's among them; and those of the measured time. */
  readonly placed: number;
  readonly measured: number;
  readonly seconds: number;
}

/** Compiled code and connections as in a program that has been running. */
const WARM_UP_ORDERS = 5_000;

let engine: Awaited<ReturnType<typeof createEngine>> | undefined;

onOrder<PlacerOrder>(async (order) => {
  const { redisUrl, databaseUrl, concurrency, single } = order;
  const isFirst = engine === undefined;
  engine ??= await createEngine({
    redisUrl,
    databaseUrl,
    receiptSecret: "r".repeat(32),
    admission: { backlogMax: 0, ...(single && { ordersPerCallMax: 1, callsInFlightMax: concurrency }) },
  });
  const to = engine;
  let made = 0;
  let placed = 0;
  const placeUntil = async (isOver: () => boolean) => {
    while (!isOver()) {
      made += 1;
      const buyer = `${order.burst}-0000-4000-8000-${made.toString(16).padStart(12, "0")}`;
      const { saleId, productId } = order;
      await to.place({
        saleId,
        customerId: buyer,
        idempotencyKey: buyer,
        items: [{ productId, quantity: 1 }],
        address: { street: "123 Main St", postalCode: "12345", city: "Seoul" },
      });
      placed += 1;
    }
  };
  const concurrently = (isOver: () => boolean) =>
    Promise.all(Array.from({ length: concurrency }, () => placeUntil(isOver)));

  const warmUp = isFirst ? Math.min(WARM_UP_ORDERS, Math.floor(order.ordersMax / 2)) : 0;
  await concurrently(() => made >= warmUp);
  const before = placed;
  const startedAt = performance.now();
  const endsAt = startedAt + order.seconds * 1_000;
  await concurrently(() => made >= order.ordersMax || performance.now() >= endsAt);
  const seconds = (performance.now() - startedAt) / 1_000;
  report({ placed, measured: placed - before, seconds } satisfies PlacerReport);
});

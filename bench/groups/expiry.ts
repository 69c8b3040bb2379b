// Very many reservations that end at the same instant, and what the release of them does to orders that arrive meanwhile.
// The sweep is kept waiting by its own lock until the last deadline has passed, as if its worker had been frozen: nothing
// about the orders is altered for that.
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { Books } from "../books.ts";
import { type Child, startChild } from "../children.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import { cpuMeter } from "../machine.ts";
import type { PlacedReport, ProgramOrder, StreamReport } from "../programs/program.ts";
import type { Sale, Shop } from "../shop.ts";

const TTL_SECONDS = 15;
const WARM_UP_ORDERS = 5_000;
const CONCURRENCY = 1_024;
/** Of the stream beside the expiry: over the sale that expires and another one, by turns. */
const STREAM_PER_SECOND = 1_000;
const STREAM_SECONDS = 10;
const POLL_MS = 100;
const EXPIRY_TIMEOUT_MS = 120_000;

export type Program = Child<object>;

/** Starts a process with the engine as a library. */
export function startProgram({ redisUrl, databaseUrl }: Instance): Promise<Program> {
  return startChild("programs/program.ts", { type: "open", redisUrl, databaseUrl } satisfies ProgramOrder);
}

/** Places orders that wait for their payment (`later`) or carry one. */
export async function placeOrders(
  program: Program,
  { saleId, productId, productIds }: Sale,
  orders: number,
  later: boolean,
): Promise<PlacedReport> {
  return await program.ask<PlacedReport>({
    type: "place",
    sale: { saleId, productId, ...(productIds && { productIds }) },
    orders,
    concurrency: CONCURRENCY,
    burst: randomBytes(4).toString("hex"),
    later,
  } satisfies ProgramOrder);
}

export async function measureExpiry(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const books = new Books(instance);
  try {
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      await measureRound(context, instance, shop, books, `expiry ${round}`);
    }
  } finally {
    await books.close();
  }
}

async function measureRound(
  context: Context,
  instance: Instance,
  shop: Shop,
  books: Books,
  round: string,
): Promise<void> {
  const sale = await shop.openSale(`bench ${round}`, undefined, TTL_SECONDS);
  const beside = await shop.openSale(`bench beside ${round}`);
  const warmUp = await shop.openSale(`bench warm-up ${round}`);
  const program = await startProgram(instance); // after the sales: it reads them when it starts
  const sweep = await holdExpirySweep(instance);
  try {
    await placeOrders(program, warmUp, WARM_UP_ORDERS, true);
    const { placed } = await placeOrders(program, sale, context.options.expiryOrders, true);
    await untilApplied(books, [sale]);
    const deadline = await lastDeadline(books, sale);
    recordLatencies(context, round, "steady", await streamFor(program, [sale, beside], STREAM_SECONDS));
    while ((await books.now()) <= deadline) await delay(POLL_MS);

    await startStream(program, [sale, beside]);
    await delay(2_000);
    const spent = cpuMeter(instance.pids);
    const begunAt = await books.now();
    await sweep.letGo();
    const startedAt = performance.now();
    while (await books.isOverdue(sale, deadline)) {
      if (performance.now() - startedAt > EXPIRY_TIMEOUT_MS) throw new Error("the reservations do not end");
      await delay(POLL_MS);
    }
    context.note(`    processor seconds: ${JSON.stringify(spent())}`);
    const during = await endStream(program);
    const { orders, lastAt } = await books.expired(sale, deadline);
    recordLatencies(context, round, "expiry", during);
    context.record(round, "expiry_orders", orders);
    context.record(round, "expiry_seconds", (lastAt.getTime() - begunAt.getTime()) / 1_000);

    recordLatencies(context, round, "steady", await streamFor(program, [sale, beside], STREAM_SECONDS));
    await untilFinished(books, sale); // the stream's own orders in it
    await untilApplied(books, [sale, beside]);
    context.audit(`${round}, expired`, { oversold: 0, lost: Math.abs(placed - orders), duplicated: 0 });
    context.audit(`${round}, held`, await books.auditHolds(sale));
    context.audit(`${round}, in the ledger`, await books.auditLedger(beside, { answered: 0, sent: 0 }));
  } finally {
    await Promise.all([sweep.letGo(), program.stop()]);
  }
}

function recordLatencies(context: Context, round: string, when: "steady" | "expiry", report: StreamReport): void {
  const [same = [], other = []] = report.latenciesMs;
  const at = (list: readonly number[], share: number) =>
    list[Math.min(list.length - 1, Math.floor(list.length * share))] ?? Number.NaN;
  context.record(round, `${when}_same_p50_ms`, at(same, 0.5));
  context.record(round, `${when}_same_p99_ms`, at(same, 0.99));
  context.record(round, `${when}_other_p50_ms`, at(other, 0.5));
  context.record(round, `${when}_other_p99_ms`, at(other, 0.99));
}

async function streamFor(program: Program, sales: readonly Sale[], seconds: number): Promise<StreamReport> {
  await startStream(program, sales);
  await delay(seconds * 1_000);
  return await endStream(program);
}

async function startStream(program: Program, sales: readonly Sale[]): Promise<void> {
  await program.ask({
    type: "stream",
    sales: sales.map(({ saleId, productId }) => ({ saleId, productId })),
    perSecond: STREAM_PER_SECOND,
    burst: randomBytes(4).toString("hex"),
  } satisfies ProgramOrder);
}

function endStream(program: Program): Promise<StreamReport> {
  return program.ask<StreamReport>({ type: "end stream" } satisfies ProgramOrder);
}

/** Takes the lock of the sweep's passes, for as long as wanted. */
async function holdExpirySweep({ databaseUrl }: Instance): Promise<{ letGo(): Promise<void> }> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => undefined); // the query on it rejects
  await client.connect();
  await client.query("SELECT pg_advisory_lock(hashtextextended('onrush sweep expiry', 0))");
  let held = true;
  return {
    async letGo() {
      if (held) await client.end();
      held = false;
    },
  };
}

async function lastDeadline(books: Books, { saleId }: Sale): Promise<Date> {
  const [row] = await books.query<{ until: Date }>(
    "SELECT max(reserved_until) AS until FROM orders WHERE sale_id = $1",
    [saleId],
  );
  if (!row) throw new Error("no reservations");
  return row.until;
}

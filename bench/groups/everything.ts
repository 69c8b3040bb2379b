// A burst with everything running on this machine, then drained until every order is at an end; beside it the no-op, and
// the peer that does it all in one Postgres transaction, in a database of its own on the same server.
import { Books, type Tally } from "../books.ts";
import { type Child, startChild } from "../children.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import { AMPLE, type Sale, type Shop } from "../shop.ts";
import { noopTarget, startNoop } from "./admission.ts";
import { PeerDatabase } from "./peer-database.ts";

const WARM_UP_SECONDS = 2;
const SWEEP_SECONDS = 2;
const POOL_SIZES = [8, 16, 32] as const;

export async function measureEverything(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const warmUpSale = await shop.openSale("bench warm-up");
  const noop = context.wants("noop") ? await startNoop(await shop.buyOne(warmUpSale)) : undefined;
  const books = new Books(instance);
  context.postgresVersion = await books.postgresVersion();
  const peer = context.wants("pg_row") ? await PeerRow.start(context, instance, warmUpSale) : undefined;
  try {
    if (context.wants("accept_all")) {
      await context.burst(acceptTarget(instance, shop, warmUpSale), { seconds: WARM_UP_SECONDS });
      await untilApplied(books, [warmUpSale]);
      await untilFinished(books, warmUpSale);
    }
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      const name = `everything ${round}`;
      if (noop) await context.measure(name, "noop_rps", noopTarget(noop, warmUpSale));
      if (context.wants("accept_all")) {
        await burstAndDrain(context, books, name, acceptTarget(instance, shop, await shop.openSale(`bench ${name}`)));
      }
      if (peer) await peer.measure(context, name);
    }
    if (peer) context.audit("pg_row", await peer.audit());
  } finally {
    await Promise.all([noop?.stop(), peer?.stop(), books.close()]);
  }
}

function acceptTarget(instance: Instance, shop: Shop, sale: Sale): Target & { order: Sale } {
  const pid = instance.pids["api"] ?? 0;
  return { name: "accept_all", url: shop.ordersUrl, pid, order: sale, keyed: true, status: 202 };
}

async function burstAndDrain(context: Context, books: Books, round: string, target: Target & { order: Sale }) {
  const sale = target.order;
  const startedAt = performance.now();
  const burst = await context.measure(round, "accept_all_rps", target, { seconds: context.options.burstSeconds });
  const drainStartsAt = await books.now();
  await untilApplied(books, [sale]);
  await untilFinished(books, sale);
  await untilApplied(books, [sale]); // the movements of the last payments
  const seconds = (performance.now() - startedAt) / 1_000;
  context.record(round, "accept_all_drained_rps", burst.answered / seconds);
  context.record(round, "confirmed_ops", await confirmedPerSecond(books, sale, drainStartsAt));
  context.audit("accept_all, in Redis", await books.auditAdmission(sale, burst));
  context.audit("accept_all, in the ledger", await books.auditLedger(sale, burst));
  context.audit("accept_all, at the end", await books.auditEnds(sale));
}

/** Of what became CONFIRMED once the burst was over; of the whole when next to nothing was left by then. */
async function confirmedPerSecond(books: Books, sale: Sale, drainStartsAt: Date): Promise<number> {
  const [row] = await books.query<{ all: string; all_s: number; late: string; late_s: number }>(
    `SELECT count(*) AS all, extract(epoch FROM max(t.at) - min(o.placed_at))::float8 AS all_s,
       count(*) FILTER (WHERE t.at > $2) AS late, extract(epoch FROM max(t.at) - $2)::float8 AS late_s
     FROM orders o JOIN order_timeline t ON t.order_id = o.id AND t.status = 'CONFIRMED' WHERE o.sale_id = $1`,
    [sale.saleId, drainStartsAt],
  );
  if (!row) return Number.NaN;
  return row.late_s > 1 ? Number(row.late) / row.late_s : Number(row.all) / row.all_s;
}

/** The peer's process over its database, with the pool size that a short sweep found best. */
class PeerRow {
  readonly #database: PeerDatabase;
  readonly #server: Child<{ url: string }>;
  readonly #sale: Sale;
  readonly #tally: Tally;

  private constructor(database: PeerDatabase, server: Child<{ url: string }>, sale: Sale, tally: Tally) {
    this.#database = database;
    this.#server = server;
    this.#sale = sale;
    this.#tally = tally;
  }

  static async start(context: Context, instance: Instance, sale: Sale): Promise<PeerRow> {
    const database = await PeerDatabase.create(instance.databaseUrl, sale.productId, AMPLE);
    const tally: Tally = { answered: 0, sent: 0 };
    let best = { connectionsMax: 0, perSecond: 0 };
    for (const connectionsMax of POOL_SIZES) {
      const server = await startPeer(database.url, connectionsMax);
      const burst = await context.burst(peerTarget(server, sale), { seconds: SWEEP_SECONDS });
      await server.stop();
      tally.answered += burst.answered;
      tally.sent += burst.sent;
      if (burst.perSecond > best.perSecond) best = { connectionsMax, perSecond: burst.perSecond };
    }
    context.say(`  the hot row's peer does best with a pool of ${best.connectionsMax}`);
    return new PeerRow(database, await startPeer(database.url, best.connectionsMax), sale, tally);
  }

  async measure(context: Context, round: string): Promise<void> {
    const burst = await context.measure(round, "pg_row_rps", peerTarget(this.#server, this.#sale));
    this.#tally.answered += burst.answered;
    this.#tally.sent += burst.sent;
  }

  audit() {
    return this.#database.audit(this.#tally);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    await this.#database.close();
  }
}

function startPeer(databaseUrl: string, connectionsMax: number): Promise<Child<{ url: string }>> {
  return startChild("peers/postgres-row.ts", { databaseUrl, connectionsMax });
}

function peerTarget({ ready, pid }: Child<{ url: string }>, sale: Sale): Target {
  return { name: "pg_row", url: ready.url, pid, order: sale, keyed: true, status: 202 };
}

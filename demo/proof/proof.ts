// The proof of a sale: nothing oversold, nothing lost, nothing charged twice. It believes nobody who took part: stock comes
// from Redis and from Postgres, money from the payment provider's own books, and what was acknowledged from the clients.
//
//   const motion = await untilAtRest({ pool, stock, saleId }, 30_000);
//   const proof = await proveSale({ pool, stock, saleId, acknowledged });
import type pg from "pg";
import { transaction } from "../../engine/ledger/database.ts";
import type { PartitionStock, SkuStock } from "../../engine/stock/partition-stock.ts";
import {
  type AcknowledgedFacts,
  checkRules,
  compareMoney,
  countOrders,
  type LogFacts,
  listProductStock,
  lookForAcknowledged,
  type MoneyFacts,
  type OrderCount,
  type ProductStock,
  type RuleFacts,
  readLog,
} from "./ledger-facts.ts";
import { TERMINAL_STATUSES } from "./rest.ts";

export interface ProofSubject {
  readonly pool: pg.Pool;
  /** Over a connection that may read every partition: the administrator's. */
  readonly stock: PartitionStock;
  readonly saleId: string;
  /** Ids of every order that a client saw accepted (200, 201 or 202). */
  readonly acknowledged: readonly string[];
  /**
   * Requests whose answer no client ever saw: each may have left one order that nobody was told of. Default: any number.
   */
  readonly unansweredMax?: number;
}

export interface ProofCheck {
  readonly claim: string;
  readonly holds: boolean;
  /** The figures it rests on, or what is wrong. */
  readonly found: string;
}

/** One product in one partition, in both books. */
export interface StockBooks {
  readonly partition: number;
  readonly name: string;
  readonly redis: SkuStock;
  readonly postgres: SkuStock & { readonly allocated: number };
}

export interface Proof {
  readonly valid: boolean;
  readonly checks: readonly ProofCheck[];
  readonly stock: readonly StockBooks[];
  readonly orders: readonly OrderCount[];
}

const NONE: SkuStock = { available: 0, reserved: 0, sold: 0 };
const EXAMPLES_MAX = 3;

/** Proves the sale as it stands; meant to be called at rest. @throws when Redis or Postgres cannot be read */
export async function proveSale(subject: ProofSubject): Promise<Proof> {
  const facts = await readFacts(subject);
  const checks = [
    ...stockChecks(facts),
    ...orderChecks(facts, subject),
    ...moneyChecks(facts.money),
    ...logChecks(facts),
    ...ruleChecks(facts.rules),
  ];
  return {
    valid: checks.every((check) => check.holds),
    checks,
    stock: facts.books,
    orders: facts.orders,
  };
}

interface Facts {
  readonly products: readonly ProductStock[];
  readonly books: readonly StockBooks[];
  readonly orders: readonly OrderCount[];
  readonly acknowledged: AcknowledgedFacts;
  readonly money: MoneyFacts;
  readonly log: readonly LogFacts[];
  /** Redis' position, by partition. */
  readonly positions: ReadonlyMap<number, { epoch: number; seq: number }>;
  readonly rules: RuleFacts;
}

async function readFacts({ pool, stock, saleId, acknowledged }: ProofSubject): Promise<Facts> {
  const ledger = await transaction(pool, async (db) => {
    await db.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return {
      products: await listProductStock(db, saleId),
      orders: await countOrders(db, saleId),
      acknowledged: await lookForAcknowledged(db, saleId, [...new Set(acknowledged)], TERMINAL_STATUSES),
      money: await compareMoney(db, saleId),
      log: await readLog(db, saleId),
      rules: await checkRules(db, saleId),
    };
  });
  const inRedis = new Map<number, ReadonlyMap<string, SkuStock>>();
  const positions = new Map<number, { epoch: number; seq: number }>();
  for (const { partition } of ledger.log) {
    const snapshot = await stock.snapshot({ saleId, partition });
    if (snapshot.type !== "OK") throw new Error(`Redis answers ${snapshot.type} for partition ${partition}.`);
    inRedis.set(partition, snapshot.stock);
    positions.set(partition, snapshot.position);
  }
  const books = ledger.products.map(({ partition, productId, name, allocated, reserved, sold }) => ({
    partition,
    name,
    redis: inRedis.get(partition)?.get(productId) ?? NONE,
    postgres: { allocated, available: allocated - reserved - sold, reserved, sold },
  }));
  return { ...ledger, books, positions };
}

function stockChecks({ products, books }: Facts): ProofCheck[] {
  const sum = (part: (row: ProductStock) => number) => products.reduce((total, row) => total + part(row), 0);
  const inRedis = (book: StockBooks) => book.redis.available + book.redis.reserved + book.redis.sold;
  const unbalanced = books.filter((book) => inRedis(book) !== book.postgres.allocated);
  const different = books.filter(
    ({ redis, postgres }) =>
      redis.available !== postgres.available || redis.reserved !== postgres.reserved || redis.sold !== postgres.sold,
  );
  const misallocated = products.filter((row) => row.allocated !== row.allocations);
  const mismatched = products.filter((row) => row.confirmed !== row.sold);
  const oversold = products.filter((row) => row.reserved + row.sold > row.allocated);
  return [
    check("Every unit is accounted for", products.length > 0 && unbalanced.length + misallocated.length === 0, {
      good: `allocated ${units(sum((row) => row.allocated))} = available + reserved + sold`,
      bad: () =>
        unbalanced
          .map((book) => `${book.name}: ${inRedis(book)} in Redis, ${book.postgres.allocated} allocated`)
          .join("; ") || "the stock was never allocated as the allocations say",
    }),
    check("Redis and Postgres agree on every product", different.length === 0, {
      good: `${books.length} of ${books.length}`,
      bad: () => different.map(describeBooks).join("; "),
    }),
    check("Nothing is oversold", mismatched.length + oversold.length === 0, {
      good: `confirmed orders ${units(sum((row) => row.confirmed))} = sold, of ${units(sum((row) => row.allocated))}`,
      bad: () =>
        [...mismatched, ...oversold]
          .map((row) => `${row.name}: ${row.confirmed} confirmed, ${row.sold} sold, ${row.allocated} allocated`)
          .join("; "),
    }),
  ];
}

function describeBooks({ name, redis, postgres }: StockBooks): string {
  const of = (stock: SkuStock) => `${stock.available}/${stock.reserved}/${stock.sold}`;
  return `${name}: available/reserved/sold ${of(redis)} in Redis, ${of(postgres)} in Postgres`;
}

function orderChecks(
  { acknowledged, orders }: Facts,
  { acknowledged: ids, unansweredMax }: ProofSubject,
): ProofCheck[] {
  const told = new Set(ids).size;
  const placed = orders.reduce((total, row) => total + row.orders, 0);
  const open = orders.filter((row) => !TERMINAL_STATUSES.includes(row.status));
  const { missing, unfinished } = acknowledged;
  const untold = placed - (told - missing.length);
  const untoldMax = unansweredMax ?? Number.POSITIVE_INFINITY;
  return [
    check("No acknowledged order is lost", missing.length === 0, {
      good: `${count(told)} acknowledged, ${count(told)} in Postgres`,
      bad: () => `${missing.length} of ${count(told)} are not in Postgres: ${examples(missing)}`,
    }),
    check("Every order is at an end", unfinished.length === 0 && open.length === 0, {
      good: orders.map((row) => `${count(row.orders)} ${row.status.toLowerCase()}`).reduce(join, "") || "no orders",
      bad: () => open.map((row) => `${row.orders} ${row.status}`).join(", ") || examples(unfinished),
    }),
    check("No order that nobody was told of", untold <= untoldMax, {
      good: untold === 0 ? "none" : `${untold}, whose answers were lost for good`,
      bad: () => `${untold} orders, ${untoldMax} answers lost`,
    }),
  ];
}

function moneyChecks(money: MoneyFacts): ProofCheck[] {
  const { captured, due, chargedOrders, chargedTwice, confirmedUnpaid, othersCharged, strayCharges } = money;
  return [
    check("Captured money is what confirmed orders owe", captured === due && confirmedUnpaid === 0, {
      good: `${count(captured)} = ${count(due)}`,
      bad: () => `captured ${count(captured)}, owed ${count(due)}; ${confirmedUnpaid} confirmed orders differ`,
    }),
    check("Nothing is charged twice, nor for nothing", chargedTwice + othersCharged + strayCharges === 0, {
      good: `${count(chargedOrders)} orders charged, once each`,
      bad: () =>
        `${chargedTwice} charged twice, ${othersCharged} not confirmed and charged, ${strayCharges} charges without order`,
    }),
  ];
}

function logChecks({ log, positions }: Facts): ProofCheck[] {
  const broken = log.filter(
    (row) =>
      row.seq !== row.last ||
      row.seq !== positions.get(row.partition)?.seq ||
      row.epoch !== positions.get(row.partition)?.epoch ||
      row.entries !== row.last - row.first + 1 ||
      (row.epoch === 1 && row.first !== 1),
  );
  const refused = log.reduce((total, row) => total + row.refused, 0);
  const entries = log.reduce((total, row) => total + row.entries, 0);
  return [
    check("The movement log has no gap", log.length > 0 && broken.length === 0, {
      good: `${count(entries)} numbered movements, all applied`,
      bad: () =>
        broken
          .map(
            (row) =>
              `partition ${row.partition}: ${row.entries} entries from ${row.first} to ${row.last}, ` +
              `Redis at ${positions.get(row.partition)?.seq}`,
          )
          .join("; "),
    }),
    check("The ledger's own guard had nothing to refuse", refused === 0, {
      good: "0 units",
      bad: () => `${units(refused)} refused`,
    }),
  ];
}

function ruleChecks(rules: RuleFacts): ProofCheck[] {
  return [
    check("Nobody is above the limit per customer", rules.aboveLimit === 0, {
      good: `at most ${units(rules.unitsPerBuyerMax)} each`,
      bad: () => `${rules.aboveLimit} buyers; up to ${units(rules.unitsPerBuyerMax)}`,
    }),
    check("One order per idempotency key", rules.keysSplit === 0, {
      good: `${count(rules.keys)} keys`,
      bad: () => `${rules.keysSplit} orders share a key`,
    }),
    check("Every timeline is complete, no dead letters", rules.timelinesBroken + rules.deadLetters === 0, {
      good: "0 missing, 0 dead",
      bad: () => `${rules.timelinesBroken} broken timelines, ${rules.deadLetters} dead letters`,
    }),
  ];
}

function check(claim: string, holds: boolean, found: { good: string; bad(): string }): ProofCheck {
  return { claim, holds, found: holds ? found.good : found.bad() };
}

function examples(ids: readonly string[]): string {
  const more = ids.length > EXAMPLES_MAX ? `, and ${ids.length - EXAMPLES_MAX} more` : "";
  return ids.slice(0, EXAMPLES_MAX).join(", ") + more;
}

function join(left: string, right: string): string {
  return left === "" ? right : `${left}, ${right}`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function units(value: number): string {
  return `${count(value)} ${value === 1 ? "unit" : "units"}`;
}

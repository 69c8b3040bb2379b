// Promises 1 and 2: every unit is somewhere, in both books the same, and none is sold twice.
import {
  type Allowances,
  type Books,
  type HoldbackRow,
  type OrderRow,
  type StockRow,
  unitsKept,
  unitsOf,
  type Violation,
} from "./books.ts";

export function checkStock(books: Books, allowed: Allowances): Violation[] {
  return [...conserved(books, allowed), ...agreeing(books, allowed), ...notOversold(books, allowed)];
}

/** Promise 1, each book by itself. */
function conserved({ stock, redis, orders, holdbacks }: Books, { tamperedUnits }: Allowances): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string) => violations.push({ promise: 1, claim: "every unit is accounted for", detail });
  for (const row of stock) {
    const name = nameOf(row);
    const ofPartition = orders.filter((order) => order.partition === row.partition);
    const gone = unitsOf(ofPartition, ({ returned, restocked }) => returned - restocked).get(row.productId) ?? 0;
    if (row.allocated !== row.allocations - gone) {
      broken(
        `${name}: ${row.allocated} allocated, its allocations add up to ${row.allocations}, ${gone} were written off`,
      );
    }
    const inState = (state: OrderRow["stockState"]) =>
      unitsOf(
        ofPartition.filter((order) => order.stockState === state),
        unitsKept,
      ).get(row.productId) ?? 0;
    for (const [figure, state] of [
      [row.reserved, "reserved"],
      [row.sold, "sold"],
    ] as const) {
      if (figure !== inState(state)) broken(`${name}: ${figure} ${state}, its orders have ${inState(state)} ${state}`);
    }
    const there = redis.find(({ partition }) => partition === row.partition)?.stock.get(row.productId);
    const inRedis = there ? there.available + there.reserved + there.sold : 0;
    const expected = row.allocated - heldBackOf(holdbacks, row) + (tamperedUnits?.get(row.productId) ?? 0);
    if (inRedis !== expected) broken(`${name}: ${inRedis} units in Redis, ${expected} allocated and not held back`);
  }
  if (stock.length === 0) broken("there is no stock to account for");
  return violations;
}

/** Promise 1, Redis against Postgres at one number: available = allocated - reserved - sold - held back. */
export function agreeing(
  { stock, redis, partitions, holdbacks }: Pick<Books, "stock" | "redis" | "partitions" | "holdbacks">,
  { tamperedUnits }: Allowances,
): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string) => violations.push({ promise: 1, claim: "Redis and Postgres agree", detail });
  for (const { partition, epoch, seq } of partitions) {
    const there = redis.find((row) => row.partition === partition);
    if (there?.epoch !== epoch || there.seq !== seq) {
      broken(`partition ${partition}: Postgres is at ${epoch}-${seq}, Redis at ${there?.epoch}-${there?.seq}`);
    }
  }
  for (const row of stock) {
    const there = redis.find(({ partition }) => partition === row.partition)?.stock.get(row.productId);
    const unsold = row.allocated - row.reserved - row.sold - heldBackOf(holdbacks, row);
    const available = unsold + (tamperedUnits?.get(row.productId) ?? 0);
    if (there?.available !== available || there.reserved !== row.reserved || there.sold !== row.sold) {
      const inRedis = there ? `${there.available}/${there.reserved}/${there.sold}` : "nothing";
      broken(
        `${nameOf(row)}: available/reserved/sold ${inRedis} in Redis, ` +
          `${available}/${row.reserved}/${row.sold} by Postgres`,
      );
    }
  }
  return violations;
}

/** Promise 2. */
function notOversold({ stock, orders, numbers }: Books, { guardMayRefuse }: Allowances): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string) => violations.push({ promise: 2, claim: "nothing is oversold", detail });
  for (const row of stock) {
    if (row.reserved + row.sold > row.allocated) {
      broken(`${nameOf(row)}: ${row.reserved} reserved and ${row.sold} sold of ${row.allocated}`);
    }
    const confirmed = orders.filter((order) => order.partition === row.partition && order.status === "CONFIRMED");
    const units = unitsOf(confirmed, unitsKept).get(row.productId) ?? 0;
    if (units > row.allocated) broken(`${nameOf(row)}: ${units} units confirmed of ${row.allocated}`);
  }
  const refused = numbers.reduce((sum, number) => sum + number.refused, 0);
  if (refused > 0 && !guardMayRefuse) broken(`the ledger's guard had to refuse ${refused} units that Redis gave away`);
  return violations;
}

function heldBackOf(holdbacks: readonly HoldbackRow[], { partition, productId }: StockRow): number {
  const open = holdbacks.filter((row) => row.partition === partition && row.productId === productId && !row.returned);
  return open.reduce((sum, { quantity }) => sum + quantity, 0);
}

function nameOf({ partition, productId }: { partition: number; productId: string }): string {
  return `product ${productId.slice(0, 8)} in partition ${partition}`;
}

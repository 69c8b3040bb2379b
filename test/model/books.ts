// Both books against their models, to the last unit, and against each other.
import assert from "node:assert/strict";
import type { ModelRevival } from "../support/partition-model.ts";
import type { World } from "./world.ts";

/** Redis as the model has it; after every step. */
export async function compareRedis(world: World): Promise<void> {
  const { keys, lane } = world;
  const pipeline = lane.redis.pipeline().hmget(keys.meta, "epoch", "seq", "reservation", "persisted", "state");
  pipeline.xrange(keys.stream, "-", "+");
  const hashes = [keys.stock, keys.held, keys.limits, keys.movements];
  const rotating = [keys.recentEven, keys.recentOdd, keys.idempotencyEven, keys.idempotencyOdd];
  for (const key of [...hashes, ...rotating]) pipeline.hgetall(key);
  const replies = (await pipeline.exec()) ?? [];
  const [meta, log] = [replies[0]?.[1] as (string | null)[], replies[1]?.[1] as [string, string[]][]];
  const [stock = {}, held = {}, limits, movements, even, odd, idemEven, idemOdd] = replies
    .slice(2)
    .map(([, hash]) => hash as Hash);
  if (!world.redis) {
    assert.equal(meta[0], null, "Redis has lost the partition");
    return;
  }
  const { partition } = world.redis;
  assert.deepEqual(partition.problems(), [], "the model's own books");
  const found = {
    numbers: meta.slice(0, 4).map(Number),
    open: meta[4] === "open",
    stock,
    held: mapValues(held, (record) => sortedUnits(record.replace(/^(\d+)\|\d+/, "$1"))),
    limits,
    recent: mapValues({ ...even, ...odd }, (record) =>
      record.startsWith("X") ? record.split("|", 2).join("|") : record.replace(/\|\d+(?=\|\d+-)/, ""),
    ),
    keys: { ...idemEven, ...idemOdd },
    movements,
    log: log.map(([id]) => id),
  };
  assert.deepEqual(found, expectedRedis(partition), "Redis");
}

type Hash = Record<string, string>;

function expectedRedis(partition: NonNullable<World["redis"]>["partition"]): object {
  const stock: Hash = {};
  for (const [sku, { available, reserved, sold, limit }] of partition.stock) {
    for (const [field, units] of Object.entries({ a: available, r: reserved, s: sold, l: limit })) {
      stock[`${sku}|${field}`] = String(units);
    }
  }
  const held = [...partition.holds].map(([id, { reservation, epoch, seq, buyer, lines }]) => {
    const units = lines.map((line) => `${line.sku}=${line.units}${line.counted ? "!" : ""}`).join(",");
    return [id, sortedUnits(`${reservation}|${epoch}-${seq}|${buyer}|${units}`)];
  });
  const ended = [...partition.ended].map(([id, { end, reservation, epoch, seq }]) => [
    id,
    `${end === "settled" ? "S" : "R"}|${reservation}|${epoch}-${seq}`,
  ]);
  const final = [...partition.final].map(([id, { type }]) => [id, `X|${type}`]);
  return {
    numbers: [partition.epoch, partition.seq, partition.reservation, partition.persisted],
    open: partition.open,
    stock,
    held: Object.fromEntries(held),
    limits: textValues(partition.used),
    // An id may be refused and then accepted within one call; its hold's end comes to stand over the refusal.
    recent: Object.fromEntries([...final, ...ended]),
    keys: Object.fromEntries([...partition.keys].map(([scope, { orderId, hash }]) => [scope, `${orderId}|${hash}`])),
    movements: {
      ...textValues(partition.movements),
      ...Object.fromEntries([...partition.revivals].map(revivalRecord)),
    },
    log: partition.log.map(({ epoch, seq }) => `${epoch}-${seq}`),
  };
}

function revivalRecord([id, verdict]: [string, ModelRevival]): [field: string, record: string] {
  const text = () => {
    switch (verdict.type) {
      case "REVIVED":
      case "KNOWN":
        return `${verdict.reservation}|${verdict.epoch}-${verdict.seq}`;
      case "LIMIT":
        return `X|LIMIT|${verdict.sku}|${verdict.limit}|${verdict.used}`;
      case "SOLD_OUT":
        return `X|SOLD_OUT|${verdict.sku}|${verdict.available}`;
      case "UNKNOWN_SKU":
        return `X|UNKNOWN_SKU|${verdict.sku}`;
    }
  };
  return [`revive:${id}`, text()];
}

const LEDGER_SQL = `SELECT json_build_object(
  'position', (SELECT json_build_array(epoch, seq, reservation, state) FROM sale_partitions WHERE sale_id = $1),
  'orders', (SELECT json_agg(json_build_array(o.id, o.customer_id, o.status, o.reason, o.stock_state, o.hold_reservation,
      o.epoch, o.seq, o.payment_attempts, o.version,
      (SELECT string_agg(status, ' ' ORDER BY version) FROM order_timeline t WHERE t.order_id = o.id)) ORDER BY o.id)
    FROM orders o WHERE o.sale_id = $1),
  'returned', (SELECT json_agg(json_build_array(order_id, product_id, returned, restocked) ORDER BY order_id, product_id)
    FROM (SELECT l.order_id, l.product_id, sum(l.returned)::int AS returned, sum(l.restocked)::int AS restocked
      FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE o.sale_id = $1 AND l.returned > 0 GROUP BY 1, 2) back),
  'revivals', (SELECT json_agg(format('%s-%s %s %s', epoch, seq, order_id, outcome)) FROM order_revivals WHERE sale_id = $1),
  'returns', (SELECT json_agg(json_build_array(movement_id, epoch, seq, order_id) ORDER BY movement_id)
    FROM order_returns WHERE sale_id = $1),
  'stock', (SELECT json_agg(json_build_array(product_id, allocated, reserved, sold) ORDER BY product_id)
    FROM stock WHERE sale_id = $1),
  'allocations', (SELECT json_agg(json_build_array(movement_id, product_id, quantity, applied_epoch, applied_seq)
    ORDER BY movement_id) FROM allocations WHERE sale_id = $1),
  'holdbacks', (SELECT json_agg(json_build_array(movement_id, product_id, quantity, returned_at IS NOT NULL)
    ORDER BY movement_id) FROM holdbacks WHERE sale_id = $1),
  'lost', (SELECT json_agg(json_build_array(epoch, from_seq, to_seq) ORDER BY epoch) FROM lost_ranges WHERE sale_id = $1),
  'movements', (SELECT json_agg(format('%s-%s %s %s %s %s', epoch, seq, product_id, kind, quantity, refused))
    FROM stock_movements WHERE sale_id = $1),
  'deadLetters', (SELECT json_agg(format('%s-%s %s %s', epoch, seq, kind, COALESCE(order_id, 'null')) ORDER BY id)
    FROM dead_letters WHERE sale_id = $1)) AS books`;

/** Postgres as the model has it. */
export async function compareLedger(world: World): Promise<void> {
  const { ledger, lane, at } = world;
  const result = await lane.pool.query<{ books: Record<string, unknown[] | null> }>({
    name: "model_books",
    text: LEDGER_SQL,
    values: [at.saleId],
  });
  const found = mapValues(result.rows[0]?.books ?? {}, (rows) => rows ?? []);
  found["movements"]?.sort();
  found["revivals"]?.sort();
  assert.deepEqual(found, expectedLedger(ledger), "Postgres");
}

function expectedLedger(ledger: World["ledger"]): object {
  const byId = <T>(rows: Iterable<readonly [string, T]>) => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    position: [ledger.epoch, ledger.seq, ledger.reservation, ledger.state],
    orders: byId(ledger.orders).map(([id, o]) => [
      id,
      o.order.buyer,
      o.status,
      o.reason,
      o.stockState,
      o.reservation,
      o.epoch,
      o.seq,
      o.attempts,
      o.timeline.length,
      o.timeline.join(" "),
    ]),
    returned: byId(ledger.orders).flatMap(([id, { returned, restocked }]) =>
      byId(returned).map(([sku, units]) => [id, sku, units, restocked.get(sku) ?? 0]),
    ),
    revivals: ledger.revivals.toSorted(),
    returns: byId(ledger.returns).map(([id, { epoch, seq, order }]) => [id, epoch, seq, order]),
    stock: byId(ledger.stock).map(([sku, { allocated, reserved, sold }]) => [sku, allocated, reserved, sold]),
    allocations: byId(ledger.allocations).map(([id, { sku, quantity, applied }]) => [
      id,
      sku,
      quantity,
      applied?.epoch ?? null,
      applied?.seq ?? null,
    ]),
    holdbacks: byId(ledger.holdbacks).map(([id, { sku, quantity, returned }]) => [id, sku, quantity, returned]),
    lost: ledger.lost.map(({ epoch, from, to }) => [epoch, from, to]),
    movements: ledger.movements.toSorted(),
    deadLetters: ledger.deadLetters,
  };
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

function textValues(map: ReadonlyMap<string, number>): Hash {
  return Object.fromEntries([...map].map(([key, value]) => [key, String(value)]));
}

/** A held record with its units in the order of their products: a rebuild writes them so, place.lua as they were ordered. */
function sortedUnits(record: string): string {
  const bar = record.lastIndexOf("|");
  return `${record.slice(0, bar)}|${record
    .slice(bar + 1)
    .split(",")
    .sort()
    .join(",")}`;
}

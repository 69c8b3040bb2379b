// The promises of docs/RELIABILITY.md, over the books that the system and the model agree on at the end of a sequence.
import assert from "node:assert/strict";
import { unitsBySku } from "../support/partition-model.ts";
import { LIMITS, SKUS, UNITS } from "./lane.ts";
import type { World } from "./world.ts";

const ENDS = new Set(["CONFIRMED", "CANCELLED", "REFUNDED"]);

export function checkPromises(world: World): void {
  conservation(world);
  endings(world);
  told(world);
  gaplessness(world);
  limits(world);
  keys(world);
}

/** Redis and Postgres at one (epoch, seq) hold the same units, and all that was put in is there. */
function conservation({ redis, ledger }: World): void {
  assert.ok(redis, "Redis has the partition");
  const { partition } = redis;
  assert.deepEqual([partition.epoch, partition.seq], [ledger.epoch, ledger.seq], "one position");
  assert.equal(redis.pending.size, 0, "nothing is left pending");
  for (const [i, sku] of SKUS.entries()) {
    const [inRedis, inLedger] = [partition.stock.get(sku), ledger.stock.get(sku)];
    assert.ok(inRedis && inLedger);
    const moved = [...ledger.allocations.values()].filter((one) => one.sku === sku);
    const orders = [...ledger.orders.values()];
    const back = orders.reduce((sum, { returned }) => sum + (returned.get(sku) ?? 0), 0);
    const onSaleAgain = orders.reduce((sum, { restocked }) => sum + (restocked.get(sku) ?? 0), 0);
    assert.equal(
      inLedger.allocated,
      (UNITS[i] ?? 0) + moved.reduce((sum, { quantity }) => sum + quantity, 0) - (back - onSaleAgain),
      "allocated",
    );
    assert.ok(inLedger.reserved + inLedger.sold <= inLedger.allocated, "oversold");
    assert.deepEqual(
      { free: inRedis.available, reserved: inRedis.reserved, sold: inRedis.sold },
      { free: inLedger.allocated - inLedger.sold, reserved: 0, sold: inLedger.sold },
      `units of ${sku}`,
    );
    const bought = orders.filter(({ stockState }) => stockState === "sold");
    const units = bought.flatMap(({ order }) => order.lines).filter((line) => line.sku === sku);
    assert.equal(
      inLedger.sold,
      units.reduce((sum, line) => sum + line.units, 0) - back,
      `sold units of ${sku} and orders`,
    );
  }
}

function endings({ ledger }: World): void {
  for (const { id, status, stockState, timeline, isPaidLate } of ledger.orders.values()) {
    assert.ok(ENDS.has(status), `${id} ends as ${status}`);
    assert.ok(!(isPaidLate && status === "CANCELLED"), `${id} was paid late, and nothing was made of it`);
    assert.equal(stockState, timeline.includes("CONFIRMED") ? "sold" : "released", `stock of ${id}`);
    // It ends once more for each way out of an end: revived, and refunded.
    const ways = timeline.filter(
      (one, i) => one === "REFUND_PENDING" || (one === "PAID" && timeline[i - 1] === "CANCELLED"),
    );
    assert.equal(timeline.filter((one) => ENDS.has(one)).length, 1 + ways.length, `${id} ends once`);
  }
}

/** An order that its buyer was told stands is there, or went with numbers that a rebuild gave up; a no stays a no. */
function told({ promised, refused, ledger, pastEpochs }: World): void {
  for (const [id, { epoch, seq }] of promised) {
    if (ledger.orders.has(id)) continue;
    const past = pastEpochs.get(epoch);
    assert.ok(past && seq > past.applied, `${id}, told at ${epoch}-${seq}, has vanished`);
    const isDeclared = ledger.lost.some((lost) => lost.epoch === epoch && lost.from <= seq && seq <= lost.to);
    assert.equal(isDeclared, seq <= past.reported, `${id}: its loss is declared when it was reported`);
  }
  for (const id of refused) assert.ok(!ledger.orders.has(id), `${id} was refused, and exists`);
}

function gaplessness({ ledger, pastEpochs }: World): void {
  const present = new Map<number, Set<number>>();
  const note = (epoch: number, seq: number) => present.set(epoch, (present.get(epoch) ?? new Set()).add(seq));
  for (const row of [...ledger.movements, ...ledger.deadLetters]) {
    const [epoch, seq] = (row.split(" ")[0] ?? "").split("-").map(Number);
    note(epoch ?? 0, seq ?? 0);
  }
  for (const { epoch, from, to } of ledger.lost) for (let seq = from; seq <= to; seq += 1) note(epoch, seq);
  for (let epoch = 1; epoch <= ledger.epoch; epoch += 1) {
    const past = pastEpochs.get(epoch);
    const last = past ? Math.max(past.applied, past.reported) : ledger.seq;
    assert.deepEqual(
      [...(present.get(epoch) ?? [])].sort((a, b) => a - b),
      Array.from({ length: last }, (_, i) => i + 1),
      `numbers of epoch ${epoch}`,
    );
  }
}

function limits({ ledger }: World): void {
  for (const [i, sku] of SKUS.entries()) {
    const limit = LIMITS[i] ?? 0;
    if (limit === 0) continue;
    const bought = new Map<string, number>();
    for (const { order, stockState, restocked } of ledger.orders.values()) {
      if (stockState !== "sold") continue;
      const units = (unitsBySku(order.lines).get(sku) ?? 0) - (restocked.get(sku) ?? 0);
      bought.set(order.buyer, (bought.get(order.buyer) ?? 0) + units);
    }
    for (const [buyer, units] of bought) assert.ok(units <= limit, `${buyer} has bought ${units} of ${sku}`);
  }
}

function keys({ ledger }: World): void {
  const first = new Map<string, string>();
  for (const { id, order } of ledger.orders.values()) {
    if (!order.key) continue;
    assert.equal(first.get(order.key.scope), undefined, `${id} and another order have one key`);
    first.set(order.key.scope, id);
  }
}

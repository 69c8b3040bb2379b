// Random sequences of calls, each against the model: the same verdicts, and after every step the same books. A failure
// prints the seed and the shortest sequence that shows it.
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type ModelHoldVerdict,
  type ModelOrder,
  type ModelRestockVerdict,
  type ModelRevival,
  type ModelUnits,
  type ModelVerdict,
  PartitionModel,
  unitsBySku,
} from "../support/partition-model.ts";
import { order, sku, TestPartition } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const SKUS = [sku(1), sku(2), sku(3)] as const;
const NOT_SOLD = sku(99);
const RUNS = 200;
const TIMEOUT_MS = 240_000;

// Few ids, buyers and keys, so that they meet again.
const orderArbitrary = fc.record({
  id: fc.constantFrom(...Array.from({ length: 12 }, (_, i) => `order-${i}`)),
  buyer: fc.constantFrom("cus_a", "cus_b", "guest"),
  key: fc.option(fc.record({ scope: fc.constantFrom("k1", "k2", "k3", "k4"), hash: fc.constantFrom("h1", "h2") }), {
    nil: undefined,
    freq: 2,
  }),
  lines: fc.array(
    fc.record({
      sku: fc.oneof(
        { weight: 12, arbitrary: fc.constantFrom(...SKUS) },
        { weight: 1, arbitrary: fc.constant(NOT_SOLD) },
      ),
      units: fc.integer({ min: 1, max: 5 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
});
/** Holds by order number and how far the named reservation number is off; mostly right. */
const holdsArbitrary = fc.array(fc.record({ order: fc.nat({ max: 12 }), off: fc.constantFrom(0, 0, 0, 0, 1, -1) }), {
  minLength: 1,
  maxLength: 4,
});
const stepArbitrary = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("place" as const),
      orders: fc.array(orderArbitrary, { minLength: 1, maxLength: 5 }),
      askedAgain: fc.boolean(),
      backlogMax: fc.constantFrom(0, 0, 0, 4),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("settle" as const, "release" as const), holds: holdsArbitrary }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("restock" as const),
      movementId: fc.constantFrom("m1", "m2", "m3", "m4", "m5"),
      sku: fc.constantFrom(...SKUS, NOT_SOLD),
      quantity: fc.integer({ min: -8, max: 12 }).filter((quantity) => quantity !== 0),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("revive" as const),
      orders: fc.array(orderArbitrary, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("take back" as const),
      restock: fc.boolean(),
      returns: fc.array(fc.record({ movement: fc.nat({ max: 7 }), order: orderArbitrary }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("open" as const), state: fc.boolean(), limit: fc.nat({ max: 6 }) }),
  },
);
type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never;

it(
  `agree with the model over ${RUNS} random sequences`,
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, { minLength: 1, maxLength: 25 }), async (steps) => {
        const partition = new TestPartition(server.redis);
        const model = new PartitionModel();
        const limits = { [SKUS[0]]: 0, [SKUS[1]]: 4, [SKUS[2]]: 6 };
        await partition.open({ limits });
        model.configure(limits);
        for (const [i, name] of SKUS.entries()) {
          await partition.restock(name, 10, `initial-${i}`);
          model.restock(`initial-${i}`, name, 10);
        }
        for (const step of steps) {
          await take(step, partition, model);
          await compareBooks(partition, model);
        }
      }),
      { numRuns: RUNS },
    );
  },
  TIMEOUT_MS,
);

async function take(step: Step, partition: TestPartition, model: PartitionModel): Promise<void> {
  switch (step.do) {
    case "place": {
      const { orders, ...options } = step;
      const { verdicts } = await partition.place(orders.map(asTestOrder), { ...options, minSeq: model.seq });
      expect(verdicts.map(withoutDeadline)).toEqual(model.place(orders, options).map(asText));
      return;
    }
    case "settle":
    case "release": {
      const holds = step.holds.map(({ order: n, off }): [string, number] => {
        const id = `order-${n}`;
        return [id, (model.holds.get(id)?.reservation ?? 1) + off];
      });
      const verdicts: ModelHoldVerdict[] = model[step.do](holds);
      expect(await partition[step.do](holds)).toEqual(["OK", "1", model.seq, ...verdicts]);
      return;
    }
    case "restock": {
      const reply = await partition.restock(step.sku, step.quantity, step.movementId);
      expect(reply).toEqual(restockReply(model.restock(step.movementId, step.sku, step.quantity)));
      return;
    }
    case "revive": {
      const orders = step.orders.map(summed);
      const reply = await partition.revive(orders.map(asTestOrder), { minSeq: model.seq });
      const verdicts = model.revive(orders).map(revivalText);
      expect(reply).toEqual(["OK", "1", model.seq, ...verdicts]);
      return;
    }
    case "take back": {
      const returns = step.returns.map(({ movement, order: of }) => ({ ...summed(of), movementId: `r${movement}` }));
      const given = returns.map((of) => ({ ...asTestOrder(of), movementId: of.movementId, orderId: of.id }));
      const reply = await partition.takeBack(step.restock, given);
      const verdicts = model.takeBack(step.restock, returns);
      expect(reply).toEqual(["OK", "1", model.seq, ...verdicts]);
      return;
    }
    case "open": {
      model.open = step.state;
      model.configure({ [SKUS[1]]: step.limit });
      await partition.open({ create: false, state: step.state ? "open" : "paused", limits: { [SKUS[1]]: step.limit } });
    }
  }
}

async function compareBooks(partition: TestPartition, model: PartitionModel): Promise<void> {
  expect(model.problems()).toEqual([]);
  const [meta, stock, held, limits] = await Promise.all([
    server.redis.hmget(partition.keys.meta, "seq", "reservation"),
    server.redis.hgetall(partition.keys.stock),
    server.redis.hgetall(partition.keys.held),
    server.redis.hgetall(partition.keys.limits),
  ]);
  expect(meta.map(Number)).toEqual([model.seq, model.reservation]);
  for (const [name, { allocated, available, reserved, sold }] of model.stock) {
    const units = ["a", "r", "s"].map((field) => Number(stock[`${name}|${field}`]));
    expect(units).toEqual([available, reserved, sold]);
    expect(units.reduce((sum, n) => sum + n)).toBe(allocated);
  }
  const holds = [...model.holds].map(([id, { reservation, seq, buyer, lines }]) => {
    const units = lines.map((line) => `${line.sku}=${line.units}${line.counted ? "!" : ""}`).join(",");
    return [id, `${reservation}|1-${seq}|${buyer}|${units}`];
  });
  const heldWithoutDeadline = Object.entries(held).map(([id, record]) => [id, record.replace(/^(\d+)\|\d+/, "$1")]);
  expect(Object.fromEntries(heldWithoutDeadline)).toEqual(Object.fromEntries(holds));
  expect(limits).toEqual(Object.fromEntries([...model.used].map(([field, units]) => [field, String(units)])));
  expect((await partition.log()).map(({ position }) => position.seq)).toEqual(
    Array.from({ length: model.seq }, (_, i) => i + 1),
  );
}

/** Each product once: that is how these scripts are told of units. */
function summed({ id, buyer, lines }: ModelOrder): ModelUnits {
  return { id, buyer, lines: [...unitsBySku(lines)].map(([name, units]) => ({ sku: name, units })) };
}

function revivalText(verdict: ModelRevival): string {
  switch (verdict.type) {
    case "REVIVED":
    case "KNOWN":
      return `${verdict.type}|${verdict.reservation}|${verdict.epoch}-${verdict.seq}`;
    default:
      return String(asText(verdict));
  }
}

function asTestOrder({ id, buyer, key, lines }: ModelOrder) {
  const flat = lines.map((line) => [line.sku, line.units] as const);
  return order(flat, { id, buyer, scope: key?.scope ?? "", hash: key?.hash ?? "" });
}

function withoutDeadline(verdict: string | number): string | number {
  if (typeof verdict === "number") return verdict;
  if (verdict.startsWith("NOT_OPEN")) return "NOT_OPEN";
  return verdict.replace(/^(KNOWN\|\d+)\|\d+/, "$1");
}

function asText(verdict: ModelVerdict): string | number {
  switch (verdict.type) {
    case "ACCEPTED":
      return verdict.reservation;
    case "KNOWN":
      return `KNOWN|${verdict.reservation}|${verdict.epoch}-${verdict.seq}`;
    case "REPLAY":
      return `REPLAY|${verdict.orderId}`;
    case "CONFLICT":
    case "NOT_OPEN":
    case "BACKLOG":
      return verdict.type;
    case "UNKNOWN_SKU":
      return `UNKNOWN_SKU|${verdict.sku}`;
    case "LIMIT":
      return `LIMIT|${verdict.sku}|${verdict.limit}|${verdict.used}`;
    case "SOLD_OUT":
      return `SOLD_OUT|${verdict.sku}|${verdict.available}`;
  }
}

function restockReply(verdict: ModelRestockVerdict): unknown[] {
  switch (verdict.type) {
    case "MOVED":
    case "REPEATED":
      return ["OK", "1", verdict.seq, verdict.type];
    case "INSUFFICIENT":
      return ["INSUFFICIENT", verdict.available];
    case "UNKNOWN_SKU":
      return ["UNKNOWN_SKU"];
  }
}

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  comparePositions,
  formatPosition,
  type Movement,
  parseHeldUnits,
  parseMovement,
  parsePosition,
} from "../../../engine/movement.ts";
import type { OrderPayload } from "../../../engine/order.ts";

const ID = "6919a1f0-0001-8000-8000-000000000001";
const OTHER_ID = "6919a1f0-0001-8000-8000-000000000002";
const SKU = "00000000-0000-4000-8000-000000000001";
const PAYLOAD: OrderPayload = {
  customerId: "cus_1",
  lines: [{ productId: SKU, name: "Tea | cup, = 1!", quantity: 2, unitPrice: 5_000 }],
  price: 10_000,
  payable: 10_000,
  currency: "KRW",
  payment: { method: "card", token: "tok_ok" },
  onDecline: "release",
};
const JSON_PAYLOAD = JSON.stringify(PAYLOAD);

const entry = (kind: string, lines: string, rest: string[] = []) =>
  parseMovement("3-17", ["kind", kind, "at", "1700", "lines", lines, ...rest]);
const place = (lines: string) => entry("place", lines, ["deadline", "2000"]);
const base = { position: { epoch: 3, seq: 17 }, atMs: 1_700 };

describe("an entry of the log", () => {
  it("of placed orders is read line by line", () => {
    expect(place(`${ID}|8|${JSON_PAYLOAD}\n${OTHER_ID}|9|${JSON_PAYLOAD}`)).toEqual({
      ...base,
      kind: "place",
      deadlineMs: 2_000,
      orders: [
        { orderId: ID, reservation: 8, payload: PAYLOAD },
        { orderId: OTHER_ID, reservation: 9, payload: PAYLOAD },
      ],
      unreadable: [],
    });
  });

  it("tells what its script found before it decided, and stands without that where it cannot be read", () => {
    const found = (before: string, used: string) => {
      const movement = entry("place", `${ID}|8|${JSON_PAYLOAD}`, [
        ...["deadline", "2000", "script", "abc", "before", before, "used", used],
      ]);
      if (movement.kind !== "place") throw new Error(movement.kind);
      expect(movement.orders).toHaveLength(1);
      return movement.decision;
    };
    expect(found("a=5:0,b=7:2", "cus_1|b=1\nx=y|b=2")).toEqual({
      script: "abc",
      before: [
        { sku: "a", available: 5, limit: 0 },
        { sku: "b", available: 7, limit: 2 },
      ],
      used: [
        { buyer: "cus_1", sku: "b", units: 1 },
        { buyer: "x=y", sku: "b", units: 2 },
      ],
    });
    expect(found("a=5", "")).toBeUndefined();
    expect(found("a=5:0", "b=1")).toBeUndefined();
  });

  it.each(["settle", "release"])("of a %s is read hold by hold", (kind) => {
    expect(entry(kind, `${ID}|8|a=2!,b=3\n${OTHER_ID}|9|a=1`)).toEqual({
      ...base,
      kind,
      holds: [
        {
          orderId: ID,
          reservation: 8,
          units: [
            { sku: "a", units: 2 },
            { sku: "b", units: 3 },
          ],
        },
        { orderId: OTHER_ID, reservation: 9, units: [{ sku: "a", units: 1 }] },
      ],
      unreadable: [],
    });
  });

  it("of a revival is read order by order, with its buyer", () => {
    const units = [{ sku: "a", units: 2 }];
    expect(entry("revive", `${ID}|8|x=y|a=2!`)).toEqual({
      ...base,
      kind: "revive",
      holds: [{ orderId: ID, reservation: 8, buyer: "x=y", units }],
      unreadable: [],
    });
  });

  it("of a return is read return by return: on sale again, or written off", () => {
    const units = [{ sku: "a", units: 2 }];
    expect(entry("return", `m-1|${ID}|b|1|a=2!\nm-2|${OTHER_ID}|b|0|a=2`)).toEqual({
      ...base,
      kind: "return",
      returns: [
        { movementId: "m-1", orderId: ID, buyer: "b", restock: true, units },
        { movementId: "m-2", orderId: OTHER_ID, buyer: "b", restock: false, units },
      ],
      unreadable: [],
    });
  });

  it("of a restock is read", () => {
    expect(entry("restock", "m-1|a|-5")).toEqual({
      ...base,
      kind: "restock",
      movementId: "m-1",
      sku: "a",
      quantity: -5,
      unreadable: [],
    });
  });
});

describe("poison", () => {
  it.each([
    ["broken JSON", `${OTHER_ID}|9|{"customerId":`],
    ["no payload", `${OTHER_ID}|9|`],
    ["a payload that lacks what an order needs", `${OTHER_ID}|9|{}`],
    ["a negative price", `${OTHER_ID}|9|${JSON.stringify({ ...PAYLOAD, price: -1 })}`],
    [
      "a quantity of a half",
      `${OTHER_ID}|9|${JSON.stringify({ ...PAYLOAD, lines: [{ ...PAYLOAD.lines[0], quantity: 0.5 }] })}`,
    ],
    ["a reservation that is no number", `${OTHER_ID}|x|${JSON_PAYLOAD}`],
    ["a reservation beyond exact numbers", `${OTHER_ID}|99999999999999999999|${JSON_PAYLOAD}`],
  ])("in one line, %s, spoils that order alone, and names it", (_what, line) => {
    const movement = place(`${ID}|8|${JSON_PAYLOAD}\n${line}\n${ID}|10|${JSON_PAYLOAD}`);
    if (movement.kind !== "place") throw new Error(`read as ${movement.kind}`);
    expect(movement.orders.map(({ reservation }) => reservation)).toEqual([8, 10]);
    expect(movement.unreadable).toEqual([{ line, orderId: OTHER_ID, error: expect.stringMatching(/./) }]);
  });

  it.each([
    "x",
    `${OTHER_ID}|x|a=1`,
    `${OTHER_ID}|9|a`,
    `${OTHER_ID}|9|a=1,b`,
    `${OTHER_ID}|9`,
    `${OTHER_ID}|9|a=99999999999999999999`,
  ])("in one hold, %j, spoils that hold alone", (line) => {
    const movement = entry("release", `${ID}|8|a=1\n${line}`);
    if (movement.kind !== "release") throw new Error(`read as ${movement.kind}`);
    expect(movement.holds.map(({ orderId }) => orderId)).toEqual([ID]);
    expect(movement.unreadable.map((unreadable) => unreadable.line)).toEqual([line]);
  });

  it.each([
    ["revive", `${OTHER_ID}|x|b|a=1`],
    ["revive", `${OTHER_ID}|9|a=1`],
    ["revive", `${OTHER_ID}|9||a=1`],
    ["return", `m|${OTHER_ID}|b|2|a=1`],
    ["return", `m|${OTHER_ID}|b|1`],
    ["return", `m|${OTHER_ID}|b|1|a`],
  ])("in one line of a %s, %j, spoils that line alone, and names the order", (kind, line) => {
    const good = kind === "revive" ? `${ID}|8|b|a=1` : `m|${ID}|b|1|a=1`;
    const movement = entry(kind, `${line}\n${good}`);
    const lines = movement.kind === "revive" ? movement.holds : movement.kind === "return" ? movement.returns : [];
    expect(lines.map(({ orderId }) => orderId)).toEqual([ID]);
    expect(movement.unreadable).toEqual([{ line, orderId: OTHER_ID, error: expect.stringMatching(/./) }]);
  });

  it.each<[string, string[]]>([
    ["no kind", ["at", "1", "lines", "x"]],
    ["a kind of its own", ["kind", "gift", "at", "1", "lines", "x"]],
    ["no time", ["kind", "settle", "lines", `${ID}|8|a=1`]],
    ["no lines", ["kind", "settle", "at", "1"]],
    ["no deadline", ["kind", "place", "at", "1", "lines", `${ID}|8|${JSON_PAYLOAD}`]],
    ["a restock without a quantity", ["kind", "restock", "at", "1", "lines", "m|a|"]],
    ["a restock of half a unit", ["kind", "restock", "at", "1", "lines", "m|a|0.5"]],
    ["a restock without a product", ["kind", "restock", "at", "1", "lines", "m"]],
    ["nothing", []],
    ["a field without a value", ["kind"]],
  ])("in the entry itself, %s, makes it unreadable as a whole, kept as it came", (_what, fields) => {
    expect(parseMovement("3-17", fields)).toMatchObject({
      kind: "unreadable",
      position: base.position,
      payload: JSON.stringify(fields),
    });
  });

  it("of any kind is never an exception, and numbers that come out are numbers", () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom(
        `${ID}|8|${JSON_PAYLOAD}`,
        `${ID}|8|a=1!,b=2`,
        "m|a|5",
        `${ID}|8|b|a=1`,
        `m|${ID}|b|1|a=1!`,
        "1700",
        "NaN",
        "1e999",
        "-0",
        "|||",
      ),
      fc
        .array(fc.constantFrom(ID, "|", "\n", "8", "a=1", "{", "}", '"', "!", ",", JSON_PAYLOAD))
        .map((p) => p.join("")),
    );
    const known = fc.record({
      kind: fc.constantFrom("place", "settle", "release", "restock", "revive", "return"),
      at: text,
      deadline: text,
      lines: text,
    });
    const fields = fc.oneof(
      fc.array(text),
      known.map((record) => Object.entries(record).flat()),
      fc
        .tuple(known, text)
        .map(([record, lines]) => Object.entries({ ...record, at: "1", deadline: "2", lines }).flat()),
    );
    fc.assert(
      fc.property(fields, (given) => {
        const movement = parseMovement("1-1", given);
        expect(numbersOf(movement).every(Number.isSafeInteger)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("a position", () => {
  it("is ordered by epoch, then seq, as numbers", () => {
    const texts = ["1-2", "1-10", "2-1", "10-1"];
    expect(texts.toReversed().map(parsePosition).toSorted(comparePositions).map(formatPosition)).toEqual(texts);
  });

  it.each(["", "1", "1-", "-1", "1-2-3", "a-b", " 1-1"])("is not %j", (text) => {
    expect(() => parsePosition(text)).toThrow("not a position");
  });
});

it("held units are read with or without the mark of the limit", () => {
  expect(parseHeldUnits(`${SKU}=2!,b=1`)).toEqual([
    { sku: SKU, units: 2 },
    { sku: "b", units: 1 },
  ]);
});

function numbersOf(movement: Movement): number[] {
  const { atMs } = movement;
  switch (movement.kind) {
    case "place":
      return [atMs, movement.deadlineMs, ...movement.orders.map(({ reservation }) => reservation)];
    case "settle":
    case "release":
    case "revive":
      return [
        atMs,
        ...movement.holds.flatMap(({ reservation, units }) => [reservation, ...units.map((held) => held.units)]),
      ];
    case "return":
      return [atMs, ...movement.returns.flatMap(({ units }) => units.map((back) => back.units))];
    case "restock":
      return [atMs, movement.quantity];
    case "adjust":
      return [atMs, ...movement.adjustment.products.map(({ available }) => available)];
    case "unreadable":
      return [atMs];
  }
}

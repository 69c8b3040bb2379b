// What can happen to a partition, as fast-check draws it. Few orders, buyers, keys and movements, so that they meet again;
// the drawn numbers are taken modulo what there is.
import fc from "fast-check";
import { NOT_SOLD, SKUS } from "./lane.ts";
import { HEARINGS } from "./late-steps.ts";

/** What becomes of the first call of place.lua, and whether it is asked again. */
export const PLACE_MODES = [
  "answered",
  /** The answer is lost, the call is asked again. */
  "answer lost",
  /** The call itself is late, the call is asked again. */
  "call late",
  /** The answer is lost, and the caller gives up. */
  "answer lost, given up",
  /** The call is late, and the caller has given up. */
  "call late, given up",
] as const;
export type PlaceMode = (typeof PLACE_MODES)[number];

const nat = fc.nat({ max: 15 });
const few = fc.integer({ min: 1, max: 4 });

const order = fc.record({
  id: fc.nat({ max: 6 }),
  buyer: fc.constantFrom("cus_a", "cus_b"),
  key: fc.option(fc.record({ scope: fc.constantFrom("k1", "k2", "k3"), hash: fc.constantFrom("h1", "h1", "h2") }), {
    nil: undefined,
    freq: 2,
  }),
  lines: fc.array(
    fc.record({
      sku: fc.oneof(
        { weight: 60, arbitrary: fc.constantFrom(...SKUS) },
        { weight: 1, arbitrary: fc.constant(NOT_SOLD) },
      ),
      units: fc.integer({ min: 1, max: 3 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  pay: fc.constantFrom("card" as const, "card" as const, "later" as const),
  onDecline: fc.constantFrom("release" as const, "release" as const, "hold" as const),
});

const does = <const Name extends string>(name: Name) => ({ do: fc.constant(name) });
const place = fc.record({
  ...does("place"),
  orders: fc.array(order, { minLength: 1, maxLength: 3 }),
  mode: fc.oneof(
    { weight: 8, arbitrary: fc.constant(PLACE_MODES[0]) },
    { weight: 2, arbitrary: fc.constantFrom(...PLACE_MODES.slice(1)) },
  ),
  /** By a process that has not heard of the last rebuild. */
  staleEpoch: fc.constantFrom(false, false, false, false, false, false, false, true),
  backlogMax: fc.constantFrom(0, 0, 0, 0, 3),
});
const lateCall = fc.record({ ...does("late call arrives"), which: nat });
const persist = fc.record({
  ...does("persist"),
  via: fc.constantFrom("group" as const, "catch up" as const),
  entries: few,
  crash: fc.constantFrom("no", "no", "no", "before commit", "before acknowledging"),
});
const redeliver = fc.record({ ...does("acknowledge what was left") });
const zombieReads = fc.record({ ...does("zombie reads"), entries: few });
const zombieApplies = fc.record({ ...does("zombie applies") });
const twoPersisters = fc.record({ ...does("two persisters"), entries: few });
const pay = fc.record({
  ...does("pay"),
  orders: fc.array(nat, { minLength: 1, maxLength: 3 }),
  outcome: fc.constantFrom("succeeded" as const, "succeeded" as const, "declined" as const, "failed" as const),
});
const startPayment = fc.record({ ...does("start payment"), order: nat });
const endPayment = fc.record({
  ...does("end payment"),
  order: nat,
  outcome: fc.constantFrom("succeeded" as const, "succeeded" as const, "declined" as const, "failed" as const),
  /** Of an attempt before the last one. */
  late: fc.constantFrom(false, false, false, true),
});
const cancel = fc.record({ ...does("cancel"), order: nat });
const requestPayment = fc.record({ ...does("request payment"), order: nat });
const expire = fc.record({ ...does("expire") });
const moveHolds = fc.record({
  ...does("move holds"),
  kind: fc.constantFrom("settle" as const, "release" as const),
  /** How far the named reservation numbers are off; mostly right. */
  off: fc.constantFrom(0, 0, 0, 0, 1, -1),
  reversed: fc.boolean(),
  twice: fc.constantFrom(false, false, true),
});
const repeatMove = fc.record({ ...does("repeat an old move"), which: nat });
const lateSuccess = fc.record({
  ...does("late success"),
  order: nat,
  hearing: fc.oneof(
    { weight: 4, arbitrary: fc.constant(HEARINGS[0]) },
    { weight: 3, arbitrary: fc.constantFrom(...HEARINGS.slice(1)) },
  ),
});
const repeatRevival = fc.record({ ...does("repeat an old revival"), which: nat });
const refund = fc.record({ ...does("refund"), order: nat, ends: fc.boolean() });
const returnUnits = fc.record({
  ...does("return units"),
  movement: fc.nat({ max: 3 }),
  order: nat,
  line: fc.nat({ max: 2 }),
  units: fc.integer({ min: 1, max: 3 }),
  restock: fc.boolean(),
  deliveries: fc.nat({ max: 2 }),
});
const restock = fc.record({
  ...does("restock"),
  movement: fc.nat({ max: 3 }),
  sku: fc.constantFrom(...SKUS),
  quantity: fc.integer({ min: 1, max: 6 }),
  deliveries: fc.nat({ max: 2 }),
});
const writeOff = fc.record({
  ...does("write off"),
  movement: fc.nat({ max: 3 }),
  sku: fc.constantFrom(...SKUS),
  quantity: fc.integer({ min: 1, max: 4 }),
  deliveries: fc.integer({ min: 1, max: 2 }),
});
const deliver = fc.record({ ...does("deliver allocations") });
const admission = fc.record({
  ...does("admission"),
  state: fc.constantFrom("open" as const, "open" as const, "paused" as const, "closed" as const),
});
const report = fc.record({ ...does("report acknowledged") });
const copy = fc.record({ ...does("copy redis") });
const restore = fc.record({ ...does("restore redis") });
const wipe = fc.record({ ...does("wipe redis") });
const rebuild = fc.record({ ...does("rebuild") });
const oversell = fc.record({
  ...does("redis oversells"),
  sku: fc.constantFrom(...SKUS),
  units: fc.integer({ min: 3, max: 9 }),
});
const holdbackSweep = fc.record({ ...does("return holdbacks") });

export const step = fc.oneof(
  { weight: 22, arbitrary: place },
  { weight: 4, arbitrary: lateCall },
  { weight: 14, arbitrary: persist },
  { weight: 2, arbitrary: redeliver },
  { weight: 4, arbitrary: zombieReads },
  { weight: 3, arbitrary: zombieApplies },
  { weight: 2, arbitrary: twoPersisters },
  { weight: 8, arbitrary: pay },
  { weight: 2, arbitrary: startPayment },
  { weight: 3, arbitrary: endPayment },
  { weight: 4, arbitrary: cancel },
  { weight: 2, arbitrary: requestPayment },
  { weight: 2, arbitrary: expire },
  { weight: 9, arbitrary: moveHolds },
  { weight: 2, arbitrary: repeatMove },
  { weight: 5, arbitrary: lateSuccess },
  { weight: 2, arbitrary: repeatRevival },
  { weight: 2, arbitrary: refund },
  { weight: 5, arbitrary: returnUnits },
  { weight: 3, arbitrary: restock },
  { weight: 3, arbitrary: writeOff },
  { weight: 2, arbitrary: deliver },
  { weight: 2, arbitrary: admission },
  { weight: 5, arbitrary: report },
  { weight: 5, arbitrary: copy },
  { weight: 5, arbitrary: restore },
  { weight: 2, arbitrary: wipe },
  { weight: 4, arbitrary: rebuild },
  { weight: 1, arbitrary: oversell },
  { weight: 1, arbitrary: holdbackSweep },
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
export type StepOf<Name extends Step["do"]> = Extract<Step, { do: Name }>;

/** What most orders live through before the steps that come after an end have something to be about. */
const applied: Step = { do: "persist", via: "catch up", entries: 4, crash: "no" };
const moved = (kind: "settle" | "release"): Step => ({ do: "move holds", kind, off: 0, reversed: false, twice: false });
const everyOrder = [0, 1, 2, 3, 4, 5];
const sold: readonly Step[] = [
  applied,
  { do: "pay", orders: everyOrder, outcome: "succeeded" },
  moved("settle"),
  applied,
];
const cancelled: readonly Step[] = [
  applied,
  { do: "pay", orders: everyOrder, outcome: "failed" },
  moved("release"),
  applied,
];
const life = fc.oneof(
  { weight: 2, arbitrary: fc.constant<readonly Step[]>([]) },
  { weight: 1, arbitrary: fc.constant(sold) },
  { weight: 1, arbitrary: fc.constant(cancelled) },
);
/** Then what comes after an end comes more often than among the others. */
const after = fc.oneof(
  { weight: 4, arbitrary: step },
  { weight: 2, arbitrary: lateSuccess },
  { weight: 2, arbitrary: returnUnits },
  { weight: 1, arbitrary: persist },
);

/** A first order, so that there is something to happen to; then mostly a few steps, and sometimes a long life. */
export const sequence = fc
  .tuple(
    place,
    life,
    fc.oneof(
      { weight: 12, arbitrary: fc.array(step, { maxLength: 9, size: "max" }) },
      { weight: 8, arbitrary: fc.array(after, { maxLength: 9, size: "max" }) },
      { weight: 1, arbitrary: fc.array(step, { minLength: 8, maxLength: 30, size: "max" }) },
    ),
  )
  .map(([first, before, rest]): Step[] => [first, ...before, ...rest]);

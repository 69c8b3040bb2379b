// What must hold between the figures of a proof, whoever has made it. Pure: the prover says by it what it has found, and a
// verifier computes it again from the file alone.
import type { PartitionProof, Proof, SkuProof, SkuTotals } from "./document.ts";

interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Finding {
  readonly check: string;
  readonly holds: boolean;
  /** Where it does not hold, at most {@link DETAILS_MAX}. */
  readonly details: readonly string[];
}

const DETAILS_MAX = 5;
const UNITS = [
  "allocated",
  "initial",
  "restocked",
  "writtenOff",
  "available",
  "undelivered",
  "reserved",
  "sold",
  "holdback",
] as const satisfies readonly (keyof SkuTotals)[];

/** Every check, in the order in which a person wants to read them. */
export function checkProof(proof: Proof): Finding[] {
  const rows = proof.partitions.flatMap((of) =>
    of.skus.map((sku) => ({ at: `${of.partition} ${sku.productId}`, sku })),
  );
  const eachSku = (check: string, holds: (sku: SkuProof) => boolean) =>
    finding(
      check,
      rows.filter(({ sku }) => !holds(sku)).map(({ at }) => at),
    );
  return [
    eachSku(
      "allocated = available + undelivered + reserved + sold + holdback",
      (sku) => sku.allocated === sku.available + sku.undelivered + sku.reserved + sku.sold + sku.holdback,
    ),
    eachSku(
      "allocated = initial + restocks - write-offs",
      (sku) => sku.allocated === sku.initial + sku.restocked - sku.writtenOff,
    ),
    eachSku("nothing is below zero, nothing oversold", isWithinBounds),
    eachSku("the movements of the log add up to the stock", addsUp),
    eachSku(
      "the orders' lines add up to the stock",
      ({ orders, log, reserved, sold }) =>
        orders.reserved === reserved &&
        orders.sold === sold &&
        orders.returned === log.returned + log.writtenOff &&
        orders.restocked === log.returned,
    ),
    finding("the totals are the sums of the partitions", wrongTotals(proof)),
    finding("every number of the log is applied or declared lost", proof.partitions.flatMap(undeclaredGaps)),
    finding("captured money fits the orders", wrongMoney(proof)),
    finding(
      "Redis holds what the ledger says",
      proof.partitions
        .filter((of) => of.redis.verdict === "different" || !isVerdictJust(of))
        .map((of) => `partition ${of.partition}`),
    ),
  ];
}

function finding(check: string, details: readonly string[]): Finding {
  return { check, holds: details.length === 0, details: details.slice(0, DETAILS_MAX) };
}

function isWithinBounds(sku: SkuProof): boolean {
  return sku.available >= 0 && sku.reserved + sku.sold + sku.holdback <= sku.allocated;
}

function addsUp({ log, heldBackEver, available, reserved, sold }: SkuProof): boolean {
  return (
    reserved === log.placed + log.revived - log.settled - log.released &&
    sold === log.settled - log.returned - log.writtenOff &&
    available === log.delivered - heldBackEver - log.placed - log.revived + log.released + log.returned
  );
}

function wrongTotals({ partitions, skus }: Proof): string[] {
  const sums = new Map<string, Record<(typeof UNITS)[number], number>>();
  for (const sku of partitions.flatMap((of) => of.skus)) {
    const sum = sums.get(sku.productId);
    if (!sum) sums.set(sku.productId, { ...sku });
    else for (const name of UNITS) sum[name] += sku[name];
  }
  const wrong = skus
    .filter((total) => UNITS.some((name) => total[name] !== sums.get(total.productId)?.[name]))
    .map((total) => total.productId);
  const isComplete = skus.length === sums.size && new Set(skus.map((sku) => sku.productId)).size === skus.length;
  return isComplete ? wrong : [...wrong, "a product is missing or named twice"];
}

function undeclaredGaps({ partition, epoch, seq, epochs }: PartitionProof): string[] {
  return epochs.flatMap(({ epoch: of, last, applied, gaps, lost }) => {
    const missing = gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    // Below the highest applied number everything is applied or a gap; what is known beyond it can only be lost.
    const highest = applied + missing;
    const beyond = highest < last ? [{ from: highest + 1, to: last }] : [];
    const wrong = [...gaps, ...beyond]
      .map((range) => firstUncovered(range, lost))
      .filter((number) => number !== undefined)
      .map((number) => `partition ${partition}: ${of}-${number}`);
    if (highest > last || (of === epoch && last < seq))
      wrong.push(`partition ${partition}: epoch ${of} does not add up`);
    return wrong;
  });
}

function firstUncovered({ from, to }: Range, covers: readonly Range[]): number | undefined {
  for (let n = from; n <= to; ) {
    const covering = covers.find((range) => range.from <= n && n <= range.to);
    if (!covering) return n;
    n = covering.to + 1;
  }
  return undefined;
}

function wrongMoney({ money, orders }: Proof): string[] {
  const { total, byStatus, capturedTwice, given, surplus, surplusGiven } = money;
  const wrong: string[] = [];
  for (const name of Object.keys(total) as (keyof typeof total)[]) {
    if (total[name] !== byStatus.reduce((sum, of) => sum + of[name], 0)) wrong.push(`${name} of all orders`);
  }
  if (total.orders !== orders.count) wrong.push("the number of orders");
  if (total.mismatched > 0) wrong.push(`${total.mismatched} orders whose money does not fit their state`);
  if (capturedTwice > 0) wrong.push(`${capturedTwice} orders captured more than once`);
  if (given !== total.refunded) wrong.push(`refunds gave back ${given}, the orders say ${total.refunded}`);
  if (surplusGiven > surplus) wrong.push(`${surplusGiven} given back of ${surplus} charged beside the orders' own`);
  for (const { status, payable, captured, late, refunded } of byStatus) {
    const due = ["PAID", "CONFIRMED", "REFUND_PENDING"].includes(status) ? payable : refunded + late;
    if (captured !== due) wrong.push(`${status}: captured ${captured}, not ${due}`);
  }
  return wrong;
}

/** Whether the figures beside the verdict bear it out. */
function isVerdictJust({ redis, epoch, seq }: PartitionProof): boolean {
  const differs = redis.skus.some(({ redis: has, ledger }) => has.some((units, i) => units !== ledger[i]));
  switch (redis.verdict) {
    case "equal":
      return !differs && redis.epoch === epoch && redis.seq !== null && redis.seq <= seq;
    case "different":
    case "dead letters":
      return differs;
    case "in flight":
      return redis.epoch === epoch && redis.seq !== null && redis.seq > seq;
    case "unreachable":
    case "absent":
      return redis.skus.length === 0;
  }
}

// Reconciling a partition: compare, plan and, if told to, mend, round by round until nothing differs or nothing more can be
// mended. The ledger is mended first, because it is what Redis is then moved to. Every change is a numbered movement or a
// row put back, with its audit record in the same transaction.
import { configureSale } from "../catalogue/lifecycle.ts";
import { publishOrders } from "../events.ts";
import { type Partition, partitionName } from "../keys.ts";
import { recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import { transition } from "../ledger/fates.ts";
import type { Position } from "../movement.ts";
import { followFates } from "../points/order-points.ts";
import type { PartitionStock } from "../stock/partition-stock.ts";
import { adjust, CHANGES_MAX, changeOf } from "./adjust.ts";
import { type Drift, fingerprintOf, type Verdict } from "./drift.ts";
import { inspectPartition } from "./inspect.ts";
import { sumMovements } from "./ledger-side.ts";
import type { Servers } from "./records.ts";
import { restoreMovements, stepOverLoss } from "./restore-movements.ts";
import { type Restored, restoreOrder } from "./restore-order.ts";
import { type Patience, Uncertain, untilApplied } from "./waiting.ts";

export interface ReconcileDependencies extends Servers {
  readonly stock: PartitionStock;
}

export interface Repair {
  readonly drift: Drift;
  readonly done: boolean;
  /** What was done, or why it was not. */
  readonly how: string;
}

export interface ReconcileReport extends Partition {
  /** What was found before anything was changed. */
  readonly found: Verdict;
  readonly repairs: readonly Repair[];
  /** What was found afterwards; `found` itself when nothing was to be changed. */
  readonly verdict: Verdict;
}

export interface ReconcileOptions {
  /** Mend what differs; otherwise only plan. */
  readonly apply: boolean;
  readonly actor: string;
  readonly patience: Patience;
}

/** Each mends at least one drift, or is the last. */
const ROUNDS_MAX = 200;
/** The lock of a partition's rebuild: of it and a reconciliation that changes things, one waits or gives up. */
const LOCK_NAMESPACE = 0x6f6e72;

/** What would be done about a drift, for a plan. */
export function planOf(drift: Drift): string {
  switch (drift.kind) {
    case "STOCK_EDITED":
      return `move Redis to ${drift.expected} by an adjusting movement`;
    case "LIMIT_OFF":
      return `set it to ${drift.expected} by an adjusting movement`;
    case "HOLD_MISSING":
    case "HOLD_OFF":
      return "write the hold as the order has it, by an adjusting movement";
    case "HOLD_WITHOUT_ORDER":
      return "remove the hold, by an adjusting movement";
    case "LEDGER_EDITED":
      return "set the ledger's row to what its movements amount to";
    case "SETTINGS_OFF":
      return "lay the sale's settings over the partition";
    case "ORDER_MISSING":
      return drift.orderId === null ? "nothing: nobody can say which" : "put the order back from what survives of it";
    case "MOVEMENT_LOST":
      return drift.applied
        ? "put the movement back, or declare it lost"
        : "declare it lost and let the log go on after it";
    case "STUCK_TRANSITION":
      return drift.step === null ? "nothing: somebody has to look" : `do what it waits for (${drift.step})`;
  }
}

/** Compares a partition and, with `apply`, mends it. */
export async function reconcilePartition(
  deps: ReconcileDependencies,
  at: Partition,
  options: ReconcileOptions,
): Promise<ReconcileReport> {
  const lock = await deps.pool.connect();
  const key = partitionName(at);
  const [take, free] = options.apply
    ? ["pg_try_advisory_lock", "pg_advisory_unlock"]
    : ["pg_try_advisory_lock_shared", "pg_advisory_unlock_shared"];
  try {
    const result = await lock.query<{ taken: boolean }>(`SELECT ${take}($1, hashtext($2)) AS taken`, [
      LOCK_NAMESPACE,
      key,
    ]);
    if (!result.rows[0]?.taken) {
      const reason = "A rebuild or another reconciliation of the partition is running.";
      const verdict: Verdict = { type: "UNCERTAIN", reason, drifts: [] };
      return { ...at, found: verdict, repairs: [], verdict };
    }
    try {
      return await reconcileLocked(deps, at, options);
    } finally {
      await lock.query(`SELECT ${free}($1, hashtext($2))`, [LOCK_NAMESPACE, key]);
    }
  } finally {
    lock.release();
  }
}

async function reconcileLocked(
  deps: ReconcileDependencies,
  at: Partition,
  { apply, actor, patience }: ReconcileOptions,
): Promise<ReconcileReport> {
  const found = await inspectPartition(deps, at, patience);
  let verdict = found;
  const repairs: Repair[] = [];
  const failed = new Set<string>();
  for (let round = 0; apply && round < ROUNDS_MAX && verdict.type === "DRIFT"; round += 1) {
    const open = verdict.drifts.filter((drift) => !failed.has(fingerprintOf(drift)));
    if (open.length === 0) break;
    const made = await mendRound(deps, at, verdict.position, open, actor, patience);
    repairs.push(...made);
    for (const repair of made) if (!repair.done) failed.add(fingerprintOf(repair.drift));
    verdict = await inspectPartition(deps, at, patience);
  }
  return { ...at, found, repairs, verdict };
}

/** Mends the ledger where it is wrong; where it is right, Redis. */
async function mendRound(
  deps: ReconcileDependencies,
  at: Partition,
  judged: Position,
  drifts: readonly Drift[],
  actor: string,
  patience: Patience,
): Promise<Repair[]> {
  const ledgerSide = drifts.filter((drift) => isOfLedger(drift));
  if (ledgerSide.length > 0) {
    const repairs: Repair[] = [];
    for (const drift of ledgerSide) repairs.push({ drift, ...(await mendLedger(deps, at, drift, actor)) });
    return repairs;
  }
  const redisSide = drifts.filter((drift) => changeOf(drift) !== undefined).slice(0, CHANGES_MAX);
  if (redisSide.length > 0) return await mendRedis(deps, at, judged, redisSide, actor, patience);
  const repairs: Repair[] = [];
  for (const drift of drifts) {
    if (drift.kind === "STUCK_TRANSITION")
      repairs.push({ drift, ...(await mendOrder(deps, at, drift, actor, judged)) });
  }
  return repairs;
}

function isOfLedger({ kind }: Drift): boolean {
  return kind === "MOVEMENT_LOST" || kind === "ORDER_MISSING" || kind === "LEDGER_EDITED" || kind === "SETTINGS_OFF";
}

async function mendLedger(deps: ReconcileDependencies, at: Partition, drift: Drift, actor: string): Promise<Restored> {
  switch (drift.kind) {
    case "MOVEMENT_LOST":
      return await (drift.applied
        ? restoreMovements(deps.pool, at, drift, actor)
        : stepOverLoss(deps, at, drift, actor));
    case "ORDER_MISSING":
      if (drift.orderId === null) return { done: false, how: "nothing of them survives; restore them from a backup" };
      return await restoreOrder(deps.pool, at, drift.orderId, drift.redis, actor);
    case "LEDGER_EDITED":
      return await mendStockRow(deps, at, drift, actor);
    case "SETTINGS_OFF": {
      const done = await configureSale(deps.pool, deps.stock, at.saleId);
      await recordAudit(deps.pool, {
        actor,
        action: "stock.reconcile",
        subject: `partition:${partitionName(at)}`,
        before: { [drift.field]: drift.redis },
        after: { [drift.field]: drift.expected },
        reason: drift.kind,
      });
      return done
        ? { done, how: "the sale's settings were laid over it" }
        : { done, how: "Redis refused the settings" };
    }
    default:
      return { done: false, how: "this is not mended in the ledger" };
  }
}

async function mendStockRow(
  { pool }: ReconcileDependencies,
  at: Partition,
  drift: Drift & { kind: "LEDGER_EDITED" },
  actor: string,
): Promise<Restored> {
  return await transaction(pool, async (client) => {
    // Nothing is applied while the sums are taken and written.
    await client.query("SELECT FROM sale_partitions WHERE sale_id = $1 AND partition = $2 FOR UPDATE", [
      at.saleId,
      at.partition,
    ]);
    const sum = (await sumMovements(client, at, [drift.sku])).get(drift.sku);
    if (!sum) return { done: false, how: "the product is gone" };
    const before = await client.query<{ row: unknown }>(
      `SELECT to_jsonb(s) AS row FROM stock s WHERE sale_id = $1 AND partition = $2 AND product_id = $3 FOR UPDATE`,
      [at.saleId, at.partition, drift.sku],
    );
    await client.query(
      `UPDATE stock SET allocated = $4, reserved = $5, sold = $6 WHERE sale_id = $1 AND partition = $2 AND product_id = $3`,
      [at.saleId, at.partition, drift.sku, sum.allocated, sum.reserved, sum.sold],
    );
    await recordAudit(client, {
      actor,
      action: "stock.reconcile",
      subject: `product:${drift.sku}`,
      before: before.rows[0]?.row,
      after: { ...at, ...sum },
      reason: drift.kind,
    });
    return { done: true, how: "set to what the movements amount to" };
  });
}

async function mendRedis(
  { pool, redis }: ReconcileDependencies,
  at: Partition,
  judged: Position,
  drifts: readonly Drift[],
  actor: string,
  patience: Patience,
): Promise<Repair[]> {
  const product = await pool.query<{ id: string }>(
    "SELECT product_id AS id FROM stock WHERE sale_id = $1 AND partition = $2 ORDER BY product_id LIMIT 1",
    [at.saleId, at.partition],
  );
  const anyProduct = product.rows[0]?.id ?? "00000000-0000-0000-0000-000000000000";
  // One that is refused must not keep the others from being mended: then each goes by itself.
  for (const parts of [[drifts], drifts.map((drift) => [drift])]) {
    const repairs: Repair[] = [];
    for (const part of parts) {
      const outcome = await adjust(redis, at, judged, part, { actor, anyProduct });
      if (outcome.type === "REFUSED" && parts.length === 1 && drifts.length > 1) break;
      const done = outcome.type === "MOVED";
      const how = done ? `movement ${outcome.position.epoch}-${outcome.position.seq}` : outcome.why;
      for (const drift of part) repairs.push({ drift, done, how });
      // The ledger records it, and the next look is taken with that behind it.
      if (done) await untilApplied(pool, at, outcome.position, patience).catch(passUncertain);
      // Another one of this look would be refused: it was judged before this adjustment. The next round looks anew.
      if (done && parts.length > 1) return repairs;
    }
    if (repairs.length > 0) return repairs;
  }
  return [];
}

async function mendOrder(
  { pool, redis, stock }: ReconcileDependencies,
  at: Partition,
  { orderId, status, stockState, step }: Drift & { kind: "STUCK_TRANSITION" },
  actor: string,
  { epoch }: Position,
): Promise<Restored> {
  if (step === null) return { done: false, how: "nothing says what it waits for" };
  const audit = {
    actor,
    action: "stock.reconcile",
    subject: `order:${orderId}`,
    before: { status, stockState },
  } as const;
  if (step === "move stock") {
    const row = await pool.query<{ reservation: number }>(
      "SELECT hold_reservation AS reservation FROM orders WHERE id = $1 AND status = $2",
      [orderId, status],
    );
    const reservation = row.rows[0]?.reservation;
    if (reservation === undefined) return { done: true, how: "it has moved on by itself" };
    const outcome = await stock[status === "PAID" ? "settle" : "release"](at, epoch, [{ orderId, reservation }]);
    const verdict = outcome.type === "OK" ? outcome.verdicts[0] : outcome.type;
    if (verdict !== "MOVED") return { done: false, how: `Redis says ${verdict}` };
    await recordAudit(pool, {
      ...audit,
      after: { moved: status === "PAID" ? "settled" : "released" },
      reason: "STUCK_TRANSITION",
    });
    return { done: true, how: "its stock was moved" };
  }
  const reason = step === "expire" ? "EXPIRED" : step === "cancelAfterPayment" ? "PAYMENT_FAILED" : null;
  const moved = await transaction(pool, async (client) => {
    const orders = await transition(client, step, [orderId], reason);
    await followFates(client, orders);
    const [order] = orders;
    if (order) await recordAudit(client, { ...audit, after: { status: order.status }, reason: "STUCK_TRANSITION" });
    return orders;
  });
  await publishOrders(redis, moved).catch(() => undefined); // a hint; whoever listens compares versions
  return moved.length > 0
    ? { done: true, how: `it is ${moved[0]?.status} now` }
    : { done: true, how: "it has moved on by itself" };
}

function passUncertain(error: unknown): void {
  if (!(error instanceof Uncertain)) throw error;
}

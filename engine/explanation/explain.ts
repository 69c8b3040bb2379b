// Why an order was accepted or refused, by what exactly, and what became of it. For an accepted order the inputs are what the
// script wrote into its entry, less what the orders before it in the same entry took: nothing is reconstructed from the
// present. A refused one is what its process noted.
import type { Redis } from "ioredis";
import type pg from "pg";
import { findSale, listSales } from "../catalogue/sales.ts";
import type { ErrorCode } from "../errors.ts";
import { findOrder } from "../ledger/orders.ts";
import { parseOrderId } from "../order-id.ts";
import type { OrderStatus } from "../order-state.ts";
import { findPendingOrder } from "../pending.ts";
import { scriptOf } from "../redis/scripts.ts";
import { countsOfSecond, findRefusal } from "../refusals/store.ts";
import { secondOfRequest } from "../request-id.ts";
import {
  type AttemptRow,
  type LetterRow,
  type MovementRow,
  readAttempts,
  readInputs,
  readLetters,
  readMovements,
  readPlacement,
  readSteps,
  type StepRow,
} from "./rows.ts";

/** What one product's part of the decision was. Units. `null`: the entry was written by a version that did not record it. */
export interface DecisionInput {
  readonly productId: string;
  readonly name: string;
  readonly wanted: number;
  readonly availableBefore: number | null;
  /** Per buyer; 0: none. */
  readonly limit: number | null;
  /** What the buyer held and had bought before. */
  readonly usedBefore: number | null;
}

export interface AcceptedExplanation {
  readonly type: "accepted";
  readonly orderId: string;
  readonly buyer: string;
  readonly sale: { readonly id: string; readonly name: string; readonly partition: number };
  readonly decision: {
    /** Redis `TIME`. */
    readonly at: Date;
    readonly epoch: number;
    readonly seq: number;
    readonly reservation: number;
    readonly reservedUntil: Date;
    readonly script: string | null;
    /** Whether the script is the one of this version of Onrush. */
    readonly isPresentScript: boolean;
    readonly inputs: readonly DecisionInput[];
    /** False when the entry has lines that could not be read: how many units they took is not known. */
    readonly isExact: boolean;
    /** The sale was open within this window; as it is configured now, and whether it was changed since. */
    readonly window: { readonly opensAt: Date; readonly closesAt: Date | null; readonly changedSince: boolean };
  };
  readonly ledger: {
    /** `refused`: the second guard found no room, and the order was cancelled. */
    readonly stock: "reserved" | "sold" | "released" | "refused";
    /** It was lost with Redis, and taken up again by its receipt. */
    readonly honoured: boolean;
    /** Units that came back of what was sold, and those of them that are on sale again. */
    readonly returned: number;
    readonly restocked: number;
  };
  readonly status: OrderStatus;
  readonly reason: string | null;
  readonly timeline: readonly StepRow[];
  readonly payments: readonly AttemptRow[];
  readonly movements: readonly MovementRow[];
  readonly deadLetters: readonly LetterRow[];
}

export interface RefusedExplanation {
  readonly type: "refused";
  readonly requestId: string;
  /** The id that the order would have had. */
  readonly orderId: string | null;
  readonly buyer: string;
  readonly sale: { readonly id: string; readonly name: string | null; readonly partition: number };
  readonly code: ErrorCode;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly decidedBy: "redis" | "memory" | "process";
  readonly epoch: number | null;
  readonly seq: number | null;
  readonly script: string | null;
  /** Redis `TIME` of the verdict; `at` is the clock of the process. */
  readonly decidedAt: Date | null;
  readonly at: Date;
}

/** Accepted by Redis, and on its way to Postgres. */
export interface PendingExplanation {
  readonly type: "pending";
  readonly orderId: string;
  readonly buyer: string;
  readonly sale: { readonly id: string; readonly name: string; readonly partition: number };
  readonly epoch: number;
  readonly seq: number;
  readonly reservation: number;
  readonly at: Date;
  readonly reservedUntil: Date;
}

/** Accepted, and set aside because it could not be applied. */
export interface SetAsideExplanation {
  readonly type: "set aside";
  readonly orderId: string;
  readonly deadLetters: readonly LetterRow[];
}

/** A refusal that was counted and not kept: what was refused in its second, by sale and code. */
export interface CountedExplanation {
  readonly type: "counted";
  readonly requestId: string;
  readonly second: Date;
  readonly refused: readonly { readonly saleId: string; readonly code: ErrorCode; readonly passedOver: number }[];
}

export type Explanation =
  | AcceptedExplanation
  | RefusedExplanation
  | PendingExplanation
  | SetAsideExplanation
  | CountedExplanation;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ID_LENGTH_MAX = 64;

/**
 * Explains an order by its id, or a refusal by the id of its request.
 *
 * @param redis left out, or away: orders that Postgres does not have yet are not found
 * @returns `undefined` when nothing is known of it
 */
export async function explain(
  pool: pg.Pool,
  redis: Redis | undefined,
  given: string,
): Promise<Explanation | undefined> {
  const id = given.toLowerCase();
  if (id.length > ID_LENGTH_MAX || !/^[0-9a-z_-]+$/.test(id)) return undefined;
  if (UUID.test(id)) {
    const known =
      (await explainAccepted(pool, id)) ?? (await explainPending(pool, redis, id)) ?? (await explainAccepted(pool, id));
    if (known) return known;
    const deadLetters = await readLetters(pool, id);
    if (deadLetters.length > 0) return { type: "set aside", orderId: id, deadLetters };
  }
  return (await explainRefused(pool, id)) ?? (await explainCounted(pool, id));
}

async function explainAccepted(pool: pg.Pool, id: string): Promise<AcceptedExplanation | undefined> {
  const order = await findOrder(pool, id);
  const placement = order && (await readPlacement(pool, id));
  if (!order || !placement) return undefined;
  const rows = await readInputs(pool, id);
  const script = rows[0]?.script ?? null;
  return {
    type: "accepted",
    orderId: id,
    buyer: order.customerId,
    sale: { id: order.saleId, name: placement.name, partition: order.partition },
    decision: {
      at: order.placedAt,
      epoch: order.epoch,
      seq: order.seq,
      reservation: placement.reservation,
      reservedUntil: order.reservedUntil,
      script,
      isPresentScript: script === scriptOf("place").version,
      inputs: rows.map(({ productId, name, wanted, available, limit, used, takenBefore, takenByBuyer }) => ({
        productId,
        name,
        wanted,
        availableBefore: available === null ? null : available - takenBefore,
        limit,
        usedBefore: used === null || !limit ? used : used + takenByBuyer,
      })),
      isExact: script !== null && placement.unreadable === 0,
      window: { opensAt: placement.opensAt, closesAt: placement.closesAt, changedSince: placement.saleChanged },
    },
    ledger: {
      stock: placement.stockState,
      honoured: placement.honoured,
      returned: placement.returned,
      restocked: placement.restocked,
    },
    status: order.status,
    reason: order.reason,
    timeline: await readSteps(pool, id),
    payments: await readAttempts(pool, id),
    movements: await readMovements(pool, id),
    deadLetters: await readLetters(pool, id),
  };
}

async function explainPending(
  pool: pg.Pool,
  redis: Redis | undefined,
  id: string,
): Promise<PendingExplanation | undefined> {
  const parts = parseOrderId(id);
  if (!redis || !parts) return undefined;
  const sale = (await listSales(pool)).find((of) => of.no === parts.saleNo);
  if (!sale) return undefined;
  const at = { saleId: sale.id, partition: parts.partition };
  const order = await findPendingOrder(redis, at, id).catch(() => undefined);
  return (
    order && {
      type: "pending",
      orderId: id,
      buyer: order.payload.customerId,
      sale: { id: sale.id, name: sale.name, partition: at.partition },
      ...order.position,
      reservation: order.reservation,
      at: order.placedAt,
      reservedUntil: order.reservedUntil,
    }
  );
}

async function explainRefused(pool: pg.Pool, id: string): Promise<RefusedExplanation | undefined> {
  const refusal = await findRefusal(pool, id);
  if (!refusal) return undefined;
  const { saleId, partition, ...rest } = refusal;
  const sale = await findSale(pool, saleId);
  return { type: "refused", ...rest, sale: { id: saleId, name: sale?.name ?? null, partition } };
}

async function explainCounted(pool: pg.Pool, id: string): Promise<CountedExplanation | undefined> {
  const second = secondOfRequest(id);
  if (second === undefined) return undefined;
  const refused = await countsOfSecond(pool, second);
  return refused.length === 0
    ? undefined
    : { type: "counted", requestId: id, second: new Date(second * 1_000), refused };
}

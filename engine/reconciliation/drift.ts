// What may differ between Redis and the ledger, by name. The names are stable: alarms, metrics and operators rely on them.
import { unreachable } from "../errors.ts";
import { formatPosition, type Position } from "../movement.ts";
import type { OrderStatus, Transition } from "../order-state.ts";

export const DRIFT_KINDS = [
  "STOCK_EDITED",
  "LEDGER_EDITED",
  "LIMIT_OFF",
  "SETTINGS_OFF",
  "HOLD_MISSING",
  "HOLD_WITHOUT_ORDER",
  "HOLD_OFF",
  "ORDER_MISSING",
  "MOVEMENT_LOST",
  "STUCK_TRANSITION",
] as const;
export type DriftKind = (typeof DRIFT_KINDS)[number];

/** A figure as Redis has it, as text, because a hand may have written anything; `""`: it has none. */
export type RedisValue = string;

export const FIGURES = ["available", "reserved", "sold"] as const;
export type Figure = (typeof FIGURES)[number];

/** One difference. Units, unless said otherwise. */
export type Drift =
  /** A figure of a product in Redis is not what the log amounts to. `expected`: at the position of the comparison. */
  | {
      readonly kind: "STOCK_EDITED";
      readonly sku: string;
      readonly figure: Figure;
      readonly redis: RedisValue;
      readonly expected: number;
    }
  /** The ledger's own row is not what its movements amount to, and Redis is. */
  | {
      readonly kind: "LEDGER_EDITED";
      readonly sku: string;
      readonly ledger: LedgerFigures;
      readonly expected: LedgerFigures;
    }
  /** A product's limit (`buyer` null), or what counts to a buyer's limit of it. */
  | {
      readonly kind: "LIMIT_OFF";
      readonly sku: string;
      readonly buyer: string | null;
      readonly redis: RedisValue;
      readonly expected: number;
    }
  /** The sale's window, state or reservation time. */
  | { readonly kind: "SETTINGS_OFF"; readonly field: string; readonly redis: RedisValue; readonly expected: string }
  /** The ledger holds stock for the order, Redis has no record of it. `expected`: the record. */
  | { readonly kind: "HOLD_MISSING"; readonly orderId: string; readonly expected: string }
  /** Redis' record names another reservation, buyer or units than the order has. */
  | { readonly kind: "HOLD_OFF"; readonly orderId: string; readonly redis: RedisValue; readonly expected: string }
  /** Redis holds stock for what is no order, or for one whose stock has moved on. */
  | {
      readonly kind: "HOLD_WITHOUT_ORDER";
      readonly orderId: string;
      readonly redis: RedisValue;
      readonly ended: "sold" | "released" | null;
    }
  /** An order's row, or a line of it, was taken away. `orderId` null: there are fewer than were inserted, and nothing says which. */
  | {
      readonly kind: "ORDER_MISSING";
      readonly orderId: string | null;
      readonly redis: RedisValue;
      readonly count: number;
    }
  /** Numbers of the log are gone: from the ledger (`applied`), or from the log before the ledger had them. */
  | {
      readonly kind: "MOVEMENT_LOST";
      readonly epoch: number;
      readonly fromSeq: number;
      readonly toSeq: number;
      readonly applied: boolean;
    }
  /** An order waits in a state that lasts moments. `step`: what it waits for; null: nothing that is known. */
  | {
      readonly kind: "STUCK_TRANSITION";
      readonly orderId: string;
      readonly status: OrderStatus;
      readonly stockState: string;
      readonly step: Transition | "move stock" | null;
    };

export interface LedgerFigures {
  readonly allocated: number;
  readonly reserved: number;
  readonly sold: number;
}

/**
 * What a comparison says. `UNCERTAIN`: it could not be made, for the reason given, and nothing may be changed.
 * The drifts of an uncertain partition are those that can be told all the same.
 */
export type Verdict =
  | { readonly type: "CLEAN"; readonly position: Position }
  | { readonly type: "DRIFT"; readonly position: Position; readonly drifts: readonly Drift[] }
  | { readonly type: "UNCERTAIN"; readonly reason: string; readonly drifts: readonly Drift[] };

/** What the drift is about: `product:<id>`, `order:<id>`, `buyer:<id>`, `log:<position>` or `sale`. */
export function subjectOf(drift: Drift): string {
  switch (drift.kind) {
    case "STOCK_EDITED":
    case "LEDGER_EDITED":
      return `product:${drift.sku}`;
    case "LIMIT_OFF":
      return drift.buyer === null ? `product:${drift.sku}` : `buyer:${drift.buyer}`;
    case "SETTINGS_OFF":
      return "sale";
    case "ORDER_MISSING":
      return drift.orderId === null ? "orders" : `order:${drift.orderId}`;
    case "MOVEMENT_LOST":
      return `log:${formatPosition({ epoch: drift.epoch, seq: drift.fromSeq })}`;
    case "HOLD_MISSING":
    case "HOLD_OFF":
    case "HOLD_WITHOUT_ORDER":
    case "STUCK_TRANSITION":
      return `order:${drift.orderId}`;
    default:
      return unreachable(drift);
  }
}

/** The same for a drift that two passes saw identically. A figure that flows is told by its difference. */
export function fingerprintOf(drift: Drift): string {
  const what = [drift.kind, subjectOf(drift)];
  switch (drift.kind) {
    case "STOCK_EDITED":
      what.push(drift.figure, isFigure(drift.redis) ? String(Number(drift.redis) - drift.expected) : drift.redis);
      break;
    case "LEDGER_EDITED":
      what.push(
        ...(["allocated", "reserved", "sold"] as const).map((of) => String(drift.ledger[of] - drift.expected[of])),
      );
      break;
    case "LIMIT_OFF":
      what.push(drift.sku, drift.redis, String(drift.expected));
      break;
    case "SETTINGS_OFF":
      what.push(drift.field, drift.redis, drift.expected);
      break;
    case "HOLD_MISSING":
      what.push(drift.expected);
      break;
    case "HOLD_OFF":
    case "HOLD_WITHOUT_ORDER":
      what.push(drift.redis);
      break;
    case "ORDER_MISSING":
      what.push(String(drift.count));
      break;
    case "MOVEMENT_LOST":
      what.push(String(drift.toSeq), String(drift.applied));
      break;
    case "STUCK_TRANSITION":
      what.push(drift.status, drift.stockState);
      break;
    default:
      unreachable(drift);
  }
  return what.join("|");
}

/** One sentence for people. */
export function describeDrift(drift: Drift): string {
  switch (drift.kind) {
    case "STOCK_EDITED":
      return `Redis has ${drift.redis || "nothing"} ${drift.figure}, the log amounts to ${drift.expected}`;
    case "LEDGER_EDITED": {
      const text = ({ allocated, reserved, sold }: LedgerFigures) =>
        `${allocated} allocated, ${reserved} reserved, ${sold} sold`;
      return `the ledger says ${text(drift.ledger)}, its movements amount to ${text(drift.expected)}`;
    }
    case "LIMIT_OFF":
      if (drift.buyer === null) {
        return `the limit per buyer is ${drift.redis || "nothing"} in Redis, ${drift.expected || "none"} in the sale`;
      }
      return `Redis counts ${drift.redis || "nothing"} of product ${drift.sku} to the buyer's limit, their orders hold ${drift.expected}`;
    case "SETTINGS_OFF":
      return `${drift.field} is ${drift.redis || "nothing"} in Redis, ${drift.expected} in the sale`;
    case "HOLD_MISSING":
      return "the ledger holds stock for the order, Redis has no record of it";
    case "HOLD_OFF":
      return `Redis holds ${drift.redis}, the order is ${drift.expected}`;
    case "HOLD_WITHOUT_ORDER":
      return drift.ended === null
        ? `Redis holds ${drift.redis} for what is no order`
        : `Redis holds ${drift.redis}, the order's stock was ${drift.ended}`;
    case "ORDER_MISSING":
      return drift.orderId === null
        ? `${drift.count} orders fewer than were inserted, and nothing says which`
        : "rows of the order were taken away";
    case "MOVEMENT_LOST": {
      const { fromSeq, toSeq, epoch } = drift;
      const numbers = fromSeq === toSeq ? `number ${fromSeq} is` : `numbers ${fromSeq} to ${toSeq} are`;
      return `${numbers} missing in ${drift.applied ? "the ledger" : "the log, and the ledger does not have them"} (epoch ${epoch})`;
    }
    case "STUCK_TRANSITION":
      return `the order stays ${drift.status} while its stock is ${drift.stockState}`;
    default:
      return unreachable(drift);
  }
}

/** Whether the text is a figure as the scripts write them; a hand may have made it negative. */
export function isFigure(text: RedisValue): boolean {
  return /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text));
}

// Units that move after an order's end: those of a cancelled order that was paid all the same (revive.lua), and those of a
// refunded one (take-back.lua). What the scripts take, and what they answer.
import { type HeldUnits, type Position, parsePosition } from "../movement.ts";
import type { PartitionRefusal } from "./reply.ts";

/** A cancelled order that is to hold its units again. */
export interface ReviveRequest {
  readonly orderId: string;
  readonly buyer: string;
  /** Each product once. */
  readonly units: readonly HeldUnits[];
}

/**
 * What became of a revival; final, either way, for as long as the partition's epoch lasts. `revived` and `known` (by an
 * earlier call) name the hold's reservation number and the log's entry that took it. The order is PAID when the persister
 * has applied that entry. One that is CANCELLED even then was refused by the ledger, which gives the units back by itself.
 */
export type ReviveVerdict =
  | { readonly type: "revived" | "known"; readonly reservation: number; readonly position: Position }
  | {
      readonly type: "refused";
      readonly why: "SOLD_OUT" | "LIMIT" | "UNKNOWN_SKU";
      readonly productId: string;
    };

export type ReviveOutcome =
  | { readonly type: "OK"; readonly position: Position; readonly verdicts: readonly ReviveVerdict[] }
  | PartitionRefusal;

/** Units of an order that come back. */
export interface ReturnRequest extends ReviveRequest {
  /** Makes it harmless to ask again. */
  readonly movementId: string;
  /** To available, limits included; otherwise they are written off. */
  readonly restock: boolean;
}

/**
 * What became of a return. `REPEATED`: an earlier call moved it. `INSUFFICIENT`: fewer units are sold than are to come back;
 * nothing moved, and it may be asked again.
 */
export type ReturnVerdict = "MOVED" | "REPEATED" | "INSUFFICIENT";

export type TakeBackOutcome =
  | { readonly type: "OK"; readonly position: Position; readonly verdicts: readonly ReturnVerdict[] }
  | PartitionRefusal;

/** The most orders one call of revive.lua, and returns one call of take-back.lua carries. */
export const LATE_UNITS_PER_CALL_MAX = 100;

/** An order and its units as both scripts take them. */
export function encodeUnits({ orderId, buyer, units }: ReviveRequest): (string | number)[] {
  return [orderId, buyer, units.length, ...units.flatMap(({ sku, units }) => [sku, units])];
}

/** Reads one verdict of revive.lua. @throws when it is none */
export function parseReviveVerdict(text: string): ReviveVerdict {
  const [word, a = "", b = ""] = text.split("|");
  switch (word) {
    case "REVIVED":
    case "KNOWN": {
      const type = word === "REVIVED" ? "revived" : "known";
      return { type, reservation: Number(a), position: parsePosition(b) };
    }
    case "SOLD_OUT":
    case "LIMIT":
    case "UNKNOWN_SKU":
      return { type: "refused", why: word, productId: a };
    default:
      throw new Error(`revive.lua answered an unknown verdict: ${text}`);
  }
}

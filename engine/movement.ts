// The movement log's entries, as the scripts write them and everyone else reads them. The id of an entry is its position:
// `epoch-seq`. An entry of several orders is one line an order, so that a line that cannot be read spoils only itself.
import { z } from "zod";
import { AMOUNT_MAX, QUANTITY_MAX } from "./money.ts";
import { type OrderPayload, PAYMENT_METHODS } from "./order.ts";

/** A place in a partition's log. Ordered by epoch, then seq; both start at 1. */
export interface Position {
  readonly epoch: number;
  readonly seq: number;
}

/** Units of one SKU that a hold covers. */
export interface HeldUnits {
  readonly sku: string;
  readonly units: number;
}

export interface PlacedOrder {
  readonly orderId: string;
  readonly reservation: number;
  readonly payload: OrderPayload;
}

/** What place.lua found before it decided the orders of one call. Units. */
export interface Decision {
  /** Version of the script that decided. */
  readonly script: string;
  /** Of the SKUs that were taken: units that could be had, and the limit per buyer (0: none). */
  readonly before: readonly { readonly sku: string; readonly available: number; readonly limit: number }[];
  /** What a buyer had of a limited SKU already, where that is anything. */
  readonly used: readonly { readonly buyer: string; readonly sku: string; readonly units: number }[];
}

export interface MovedHold {
  readonly orderId: string;
  readonly reservation: number;
  readonly units: readonly HeldUnits[];
}

/** A cancelled order that holds units again. */
export interface RevivedHold extends MovedHold {
  readonly buyer: string;
}

/** Units of a refunded order that came back. */
export interface ReturnedUnits {
  readonly movementId: string;
  readonly orderId: string;
  readonly buyer: string;
  /** They are on sale again, and no longer count to the buyer's limit; otherwise they are written off. */
  readonly restock: boolean;
  readonly units: readonly HeldUnits[];
}

/** What the reconciler moved in Redis, and why; the ledger had it so before. */
export interface Adjustment {
  readonly actor: string;
  readonly reason: string;
  /** Change of what is available, by product; 0 where only records changed. */
  readonly products: readonly { readonly sku: string; readonly available: number }[];
  /** What was changed, for the record: key, field, before, after. */
  readonly changes: readonly (readonly [key: string, field: string, before: string, after: string])[];
}

/** A line that could not be read; the rest of its entry stands. */
export interface UnreadableLine {
  readonly line: string;
  /** The order it names, where that much could be read. */
  readonly orderId?: string;
  readonly error: string;
}

interface Entry {
  readonly position: Position;
  /** Redis `TIME` of the script, in ms. */
  readonly atMs: number;
  readonly unreadable: readonly UnreadableLine[];
}
export type Movement = Entry &
  (
    | {
        readonly kind: "place";
        readonly deadlineMs: number;
        readonly orders: readonly PlacedOrder[];
        /** Left out: the entry says nothing of it, or nothing that can be read; its orders stand all the same. */
        readonly decision?: Decision;
        /** A lost order that is honoured: units that were held back for it are no longer. */
        readonly fromHoldback?: true;
      }
    | { readonly kind: "settle" | "release"; readonly holds: readonly MovedHold[] }
    | { readonly kind: "revive"; readonly holds: readonly RevivedHold[] }
    | { readonly kind: "return"; readonly returns: readonly ReturnedUnits[] }
    | { readonly kind: "restock"; readonly movementId: string; readonly sku: string; readonly quantity: number }
    | { readonly kind: "adjust"; readonly movementId: string; readonly adjustment: Adjustment }
    | { readonly kind: "unreadable"; readonly payload: string }
  );

const payloadSchema = z.object({
  customerId: z.string().min(1).max(64),
  lines: z
    .array(
      z.object({
        productId: z.guid(), // any version and variant: shops bring their own ids, and Postgres takes them
        name: z.string(),
        quantity: z.int().min(1).max(QUANTITY_MAX),
        unitPrice: z.int().min(0).max(AMOUNT_MAX),
      }),
    )
    .min(1)
    .max(101), // the last may be a coupon's
  price: z.int().min(0).max(AMOUNT_MAX),
  payable: z.int().min(0).max(AMOUNT_MAX),
  discounts: z
    .object({
      coupon: z
        .object({ id: z.guid(), code: z.string().min(1).max(40), amount: z.int().min(0).max(AMOUNT_MAX) })
        .optional(),
      points: z.int().min(1).max(AMOUNT_MAX).optional(),
    })
    .optional(),
  currency: z.string().length(3),
  payment: z.object({ method: z.enum(PAYMENT_METHODS), token: z.string().optional() }),
  onDecline: z.enum(["release", "hold"]),
  address: z.object({ street: z.string(), postalCode: z.string(), city: z.string() }).optional(),
  idempotencyScope: z.string().optional(),
  payloadHash: z.string().optional(),
});

const adjustmentSchema = z.object({
  actor: z.string().min(1).max(200),
  reason: z.string().max(1_000),
  products: z.array(z.object({ sku: z.guid(), available: z.int() })).min(1),
  changes: z.array(z.tuple([z.string(), z.string(), z.string(), z.string()])),
});

/** Compares two positions: negative when `a` comes first. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}

export function formatPosition({ epoch, seq }: Position): string {
  return `${epoch}-${seq}`;
}

export function parsePosition(id: string): Position {
  const match = /^(\d+)-(\d+)$/.exec(id);
  if (!match) throw new Error(`not a position: ${id}`);
  return { epoch: Number(match[1]), seq: Number(match[2]) };
}

/** Reads one stream entry. Never throws on its content: what cannot be read is returned as such. */
export function parseMovement(id: string, fields: readonly string[]): Movement {
  const position = parsePosition(id);
  const field = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) field.set(fields[i] as string, fields[i + 1] as string);
  const kind = field.get("kind");
  const atMs = Number(field.get("at"));
  const lines = field.get("lines")?.split("\n");
  const unreadable: UnreadableLine[] = [];
  const broken = (): Movement => ({
    kind: "unreadable",
    position,
    atMs: Number.isSafeInteger(atMs) ? atMs : 0,
    payload: JSON.stringify(fields),
    unreadable: [],
  });
  if (!Number.isSafeInteger(atMs) || !lines) return broken();
  const readAll = <T>(read: (line: string) => T): T[] => {
    const out: T[] = [];
    for (const line of lines) {
      try {
        out.push(read(line));
      } catch (error) {
        unreadable.push(describeUnreadable(kind, line, error));
      }
    }
    return out;
  };
  switch (kind) {
    case "place": {
      const deadlineMs = Number(field.get("deadline"));
      if (!Number.isSafeInteger(deadlineMs)) return broken();
      const decision = parseDecision(field);
      const orders = readAll(parsePlacedOrder);
      const found = {
        ...(decision && { decision }),
        ...(field.get("from") === "holdback" && { fromHoldback: true as const }),
      };
      return { kind, position, atMs, deadlineMs, orders, ...found, unreadable };
    }
    case "settle":
    case "release":
      return { kind, position, atMs, holds: readAll(parseMovedHold), unreadable };
    case "revive":
      return { kind, position, atMs, holds: readAll(parseRevivedHold), unreadable };
    case "return":
      return { kind, position, atMs, returns: readAll(parseReturnedUnits), unreadable };
    case "restock": {
      const [movementId, sku, quantity] = lines[0]?.split("|") ?? [];
      const units = Number(quantity);
      if (!movementId || !sku || !quantity || !Number.isSafeInteger(units)) return broken();
      return { kind, position, atMs, movementId, sku, quantity: units, unreadable };
    }
    case "adjust": {
      const [, movementId, json] = /^([^|]+)\|(.+)$/.exec(lines[0] ?? "") ?? [];
      const adjustment = parseAdjustment(json);
      if (!movementId || !adjustment) return broken();
      return { kind, position, atMs, movementId, adjustment, unreadable };
    }
    default:
      return broken();
  }
}

function parseAdjustment(json: string | undefined): Adjustment | undefined {
  try {
    return adjustmentSchema.parse(JSON.parse(json ?? ""));
  } catch {
    return undefined;
  }
}

function parsePlacedOrder(line: string): PlacedOrder {
  const [, orderId, reservation, json] = /^([^|]+)\|(\d+)\|(.*)$/.exec(line) ?? [];
  if (!orderId || !reservation || !json) throw new Error("not orderId|reservation|payload");
  return {
    orderId,
    reservation: parseCount(reservation),
    payload: payloadSchema.parse(JSON.parse(json)) as OrderPayload,
  };
}

function parseDecision(field: ReadonlyMap<string, string>): Decision | undefined {
  const [script, before, used] = [field.get("script"), field.get("before"), field.get("used")];
  if (!script || !before || used === undefined) return undefined;
  try {
    return {
      script,
      before: before.split(",").map((part) => {
        const [, sku, available, limit] = /^([^=]+)=(\d+):(\d+)$/.exec(part) ?? [];
        if (!sku || !available || !limit) throw new Error(`not sku=available:limit: ${part}`);
        return { sku, available: parseCount(available), limit: parseCount(limit) };
      }),
      used: (used === "" ? [] : used.split("\n")).map((part) => {
        const [, buyer, sku, units] = /^([^|]+)\|([^|=]+)=(\d+)$/.exec(part) ?? [];
        if (!buyer || !sku || !units) throw new Error(`not buyer|sku=units: ${part}`);
        return { buyer, sku, units: parseCount(units) };
      }),
    };
  } catch {
    return undefined; // an explanation is not worth an order
  }
}

function parseMovedHold(line: string): MovedHold {
  const [orderId, reservation, parts] = line.split("|");
  if (!orderId || !reservation || !parts) throw new Error("not orderId|reservation|units");
  return { orderId, reservation: parseCount(reservation), units: parseHeldUnits(parts) };
}

function parseRevivedHold(line: string): RevivedHold {
  const [orderId, reservation, buyer, parts] = line.split("|");
  if (!orderId || !reservation || !buyer || !parts) throw new Error("not orderId|reservation|buyer|units");
  return { orderId, reservation: parseCount(reservation), buyer, units: parseHeldUnits(parts) };
}

function parseReturnedUnits(line: string): ReturnedUnits {
  const [movementId, orderId, buyer, restock, parts] = line.split("|");
  if (!movementId || !orderId || !buyer || !parts || (restock !== "0" && restock !== "1")) {
    throw new Error("not movementId|orderId|buyer|restock|units");
  }
  return { movementId, orderId, buyer, restock: restock === "1", units: parseHeldUnits(parts) };
}

/** Reads `sku=units[!],...`. */
export function parseHeldUnits(text: string): HeldUnits[] {
  return text.split(",").map((part) => {
    const match = /^([^=]+)=(\d+)!?$/.exec(part);
    if (!match) throw new Error(`not sku=units: ${part}`);
    return { sku: match[1] as string, units: parseCount(match[2] as string) };
  });
}

/** A whole number that a double holds exactly. */
function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) throw new Error(`not a count: ${text}`);
  return count;
}

function describeUnreadable(kind: string | undefined, line: string, error: unknown): UnreadableLine {
  const orderId = (kind === "return" ? /^[^|]*\|([0-9a-f-]{36})\|/ : /^([0-9a-f-]{36})\|/).exec(line)?.[1];
  const reason = (error instanceof Error ? error.message : String(error)).slice(0, 500);
  return { line, ...(orderId && { orderId }), error: reason };
}

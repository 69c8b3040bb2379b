// Encodes a batch of orders for place.lua, runs it, asks again with the same ids when the outcome is unknown, and reads the
// verdicts. What comes out is one outcome an order, never an exception for what Redis may do.
import { setTimeout as sleep } from "node:timers/promises";
import type { AckMode } from "../config.ts";
import { type PlaceCall, type PlaceReply, ServerClosedError } from "../durability/durability.ts";
import type { GateClosed } from "../durability/server-gate.ts";
import type { Idempotency } from "../idempotency.ts";
import { type Partition, partitionKeys } from "../keys.ts";
import { parsePosition } from "../movement.ts";
import type { KnownPositions } from "../stock/known-positions.ts";
import { parseRefusal } from "../stock/reply.ts";

/** The most orders, and order lines, that one call of place.lua carries. */
export const ORDERS_PER_CALL_MAX = 256;
export const LINES_PER_CALL_MAX = 1_024;

/** One order, ready for admission. */
export interface Placement {
  readonly orderId: string;
  readonly buyer: string;
  readonly idempotency: Idempotency | undefined;
  /** {@link OrderPayload} as JSON, made once and carried as it is into Postgres. */
  readonly payload: string;
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
}

export interface Accepted {
  readonly type: "ACCEPTED";
  readonly orderId: string;
  readonly reservation: number;
  readonly epoch: number;
  readonly seq: number;
  readonly reservedUntilMs: number;
  /** The durability that was reached. */
  readonly acknowledged: AckMode;
}

/** The state on which Redis refused an order: everything up to this number, at this `TIME`. */
export interface DecidedOn {
  readonly epoch: number;
  readonly seq: number;
  readonly atMs: number;
}

/** Refusals are definite: nothing was taken. `OUTCOME_UNKNOWN` is not: the order stands if it was accepted. */
export type PlaceOutcome =
  | Accepted
  | { readonly type: "REPLAYED"; readonly orderId: string }
  | { readonly type: "IDEMPOTENCY_CONFLICT"; readonly on?: DecidedOn }
  | {
      readonly type: "SALE_NOT_OPEN";
      readonly admission: string;
      readonly opensAtMs: number;
      readonly closesAtMs: number;
      readonly on?: DecidedOn;
    }
  | {
      readonly type: "LIMIT_EXCEEDED";
      readonly productId: string;
      readonly limit: number;
      readonly used: number;
      readonly on?: DecidedOn;
    }
  | { readonly type: "SOLD_OUT"; readonly productId: string; readonly available: number; readonly on?: DecidedOn }
  | { readonly type: "UNKNOWN_PRODUCT"; readonly productId: string; readonly on?: DecidedOn }
  | { readonly type: "OVERLOADED"; readonly cause: "backlog" | "queue" | "paused"; readonly on?: DecidedOn }
  | {
      readonly type: "STOCK_UNAVAILABLE";
      readonly cause:
        | "NOT_LOADED"
        | "STALE_EPOCH"
        | "REGRESSED"
        | "UNREACHABLE"
        | "REFUSED_BY_REDIS"
        | "COUPON"
        | GateClosed;
    }
  | { readonly type: "OUTCOME_UNKNOWN"; readonly orderId: string };

export interface PlaceOptions {
  /** Accepted orders that Postgres does not have yet, at most; 0: no cap. */
  readonly backlogMax: number;
  /** How long an unknown outcome is asked after before it is answered as unknown. */
  readonly retryForMs: number;
  /** Hears Redis `TIME` of each answer, in ms. */
  readonly onTime?: (redisMs: number) => void;
}

const RETRY_DELAY_MS = 50;

/** Decides a batch of one partition. Outcomes are in the order of the placements. */
export async function placeBatch(
  call: PlaceCall,
  positions: KnownPositions,
  partition: Partition,
  epoch: number,
  placements: readonly Placement[],
  options: PlaceOptions,
): Promise<PlaceOutcome[]> {
  const keys = partitionKeys(partition);
  const names = [
    keys.meta,
    keys.stock,
    keys.held,
    keys.limits,
    keys.idempotencyEven,
    keys.idempotencyOdd,
    keys.recentEven,
    keys.recentOdd,
    keys.stream,
  ];
  const known = positions.get(partition);
  const args = encode(placements, epoch, known?.epoch === epoch ? known.seq : 0, options.backlogMax);
  const giveUpAt = performance.now() + options.retryForMs;
  let mayHaveRun = false;
  for (;;) {
    let failure: CallFailure;
    try {
      const answer = await call(names, args);
      const refusal = parseRefusal(answer.reply);
      if (!refusal) {
        options.onTime?.(Number((answer.reply as unknown[])[3]));
        return decode(answer, partition, positions, placements);
      }
      // After an unanswered call the refusal proves nothing: the orders may stand in the state that was replaced since.
      if (mayHaveRun) return placements.map(({ orderId }) => ({ type: "OUTCOME_UNKNOWN", orderId }));
      return placements.map(() => ({ type: "STOCK_UNAVAILABLE", cause: refusal.type }));
    } catch (error) {
      failure = classifyFailure(error);
      if (error instanceof ServerClosedError && !mayHaveRun) {
        return placements.map(() => ({ type: "STOCK_UNAVAILABLE", cause: error.closed }));
      }
    }
    if (failure === "refused" && !mayHaveRun) {
      return placements.map(() => ({ type: "STOCK_UNAVAILABLE", cause: "REFUSED_BY_REDIS" }));
    }
    if (failure === "not sent" && !mayHaveRun) {
      return placements.map(() => ({ type: "STOCK_UNAVAILABLE", cause: "UNREACHABLE" }));
    }
    if (failure === "unknown") mayHaveRun = true;
    if (performance.now() >= giveUpAt) {
      return placements.map(({ orderId }) => ({ type: "OUTCOME_UNKNOWN", orderId }));
    }
    await sleep(RETRY_DELAY_MS);
    args[ASKED_AGAIN] = 1;
  }
}

/** Where the call says that it is asked again: from then on its refusals are final, even for a first call that comes late. */
const ASKED_AGAIN = 3;

function encode(placements: readonly Placement[], epoch: number, minSeq: number, backlogMax: number) {
  const args: (string | number)[] = [epoch, minSeq, backlogMax, 0, placements.length];
  for (const { orderId, buyer, idempotency, payload, lines } of placements) {
    args.push(orderId, buyer, idempotency?.scope ?? "", idempotency?.payloadHash ?? "", payload, lines.length);
    for (const { productId, quantity } of lines) args.push(productId, quantity);
  }
  return args;
}

function decode(
  { reply, written, found }: PlaceReply,
  partition: Partition,
  positions: KnownPositions,
  placements: readonly Placement[],
): PlaceOutcome[] {
  const [, epochText, seqValue, now, deadline, ...verdicts] = reply as unknown[];
  const position = { epoch: Number(epochText), seq: Number(seqValue) };
  positions.learn(partition, position);
  const on = { ...position, atMs: Number(now) };
  if (verdicts.length !== placements.length)
    throw new Error(`${verdicts.length} verdicts for ${placements.length} orders`);
  return verdicts.map((verdict, i) => {
    const orderId = (placements[i] as Placement).orderId;
    if (typeof verdict === "number") {
      const reservedUntilMs = Number(deadline);
      return { type: "ACCEPTED", orderId, reservation: verdict, ...position, reservedUntilMs, acknowledged: written };
    }
    return decodeVerdict(String(verdict), orderId, found, on);
  });
}

function decodeVerdict(verdict: string, orderId: string, found: AckMode, on: DecidedOn): PlaceOutcome {
  const [word, a = "", b = "", c = ""] = verdict.split("|");
  switch (word) {
    case "KNOWN":
      return {
        type: "ACCEPTED",
        orderId,
        reservation: Number(a),
        reservedUntilMs: Number(b),
        ...parsePosition(c),
        acknowledged: found,
      };
    case "REPLAY":
      return { type: "REPLAYED", orderId: a };
    case "CONFLICT":
      return { type: "IDEMPOTENCY_CONFLICT", on };
    case "NOT_OPEN":
      return { type: "SALE_NOT_OPEN", admission: a, opensAtMs: Number(b), closesAtMs: Number(c), on };
    case "LIMIT":
      return { type: "LIMIT_EXCEEDED", productId: a, limit: Number(b), used: Number(c), on };
    case "SOLD_OUT":
      return { type: "SOLD_OUT", productId: a, available: Number(b), on };
    case "UNKNOWN_SKU":
      return { type: "UNKNOWN_PRODUCT", productId: a, on };
    case "BACKLOG":
      return { type: "OVERLOADED", cause: "backlog", on };
    default:
      throw new Error(`place.lua answered an unknown verdict: ${verdict}`);
  }
}

type CallFailure = "refused" | "not sent" | "unknown";

/**
 * An error that Redis itself answered means that the script ended before its first write (memory, read-only replica,
 * still loading): the writes after it cannot fail. Anything else leaves open whether the call arrived.
 */
function classifyFailure(error: unknown): CallFailure {
  if (!(error instanceof Error)) return "unknown";
  if (error instanceof ServerClosedError) return "not sent";
  if (error.name === "ReplyError") return "refused";
  if (error.message.startsWith("Stream isn't writeable")) return "not sent";
  return "unknown";
}

// The heads that every partition script's reply shares, read once here.
import type { Position } from "../movement.ts";

/**
 * Why a script moved nothing for anybody. `NOT_LOADED`: Redis does not have the partition (never opened, or wiped).
 * `STALE_EPOCH`: the caller knows another epoch than Redis holds. `REGRESSED`: Redis is behind what the caller has seen.
 */
export type PartitionRefusal =
  | { readonly type: "NOT_LOADED" }
  | { readonly type: "STALE_EPOCH"; readonly epoch: number }
  | { readonly type: "REGRESSED"; readonly position: Position };

/** Reads a refusal, or `undefined` when the reply is none. @throws when the reply is not an array */
export function parseRefusal(reply: unknown): PartitionRefusal | undefined {
  if (!Array.isArray(reply)) throw new Error("a partition script must answer an array");
  switch (reply[0]) {
    case "NOT_LOADED":
      return { type: "NOT_LOADED" };
    case "STALE_EPOCH":
      return { type: "STALE_EPOCH", epoch: Number(reply[1]) };
    case "REGRESSED":
      return { type: "REGRESSED", position: { epoch: Number(reply[1]), seq: Number(reply[2]) } };
    default:
      return undefined;
  }
}

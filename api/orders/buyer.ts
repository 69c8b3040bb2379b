// Who an order is for. Decided before the rest of the body is looked at, so it reads the body as it came.

import { createHmac, randomUUID } from "node:crypto";
import { OnrushError } from "../../engine/errors.ts";
import { isMemberId } from "../../engine/members/member-id.ts";
import type { Identity } from "../auth/tokens.ts";
import { invalid, UUID } from "../http/fields.ts";
import { isMember } from "./lookup.ts";

export interface BuyerClues {
  readonly caller: Identity | undefined;
  /** The body's `customerId`, unchecked. */
  readonly customerId: unknown;
  readonly idempotencyKey: string | undefined;
  readonly address: string;
  readonly guestSecret: string;
}

/**
 * The buyer's id: the member's own, or a guest's UUID.
 *
 * @throws OnrushError with `FORBIDDEN` for an order in another's name, `VALIDATION` for what is no id at all
 */
export function resolveBuyer({ caller, customerId, idempotencyKey, address, guestSecret }: BuyerClues): string {
  if (customerId !== undefined && typeof customerId !== "string") throw invalid("customerId", "must be a string");
  if (caller?.isServer) {
    if (customerId === undefined) throw invalid("customerId", "is needed with an API key");
    if (!isMemberId(customerId) && !UUID.test(customerId))
      throw invalid("customerId", "must be a member's id or a UUID");
    return customerId.toLowerCase();
  }
  if (caller) {
    if (customerId !== undefined && customerId !== caller.customerId) {
      throw new OnrushError("FORBIDDEN", "The customerId is not that of the token.");
    }
    return caller.customerId;
  }
  if (customerId === undefined) {
    return idempotencyKey === undefined ? randomUUID() : guestOf(idempotencyKey, address, guestSecret);
  }
  if (isMember(customerId)) throw new OnrushError("FORBIDDEN", "Ordering as a member needs the member's token.");
  if (!UUID.test(customerId)) throw invalid("customerId", "must be a UUID");
  return customerId.toLowerCase();
}

/**
 * A guest without a name who sends a key must be the same guest when the request is repeated, or the key would protect
 * from nothing. The address is part of it: two strangers who both send the key "1" are two guests.
 */
function guestOf(key: string, address: string, secret: string): string {
  const digits = createHmac("sha256", secret).update(`guest ${address} ${key}`).digest("hex");
  const variant = (8 + (Number.parseInt(digits.charAt(16), 16) & 3)).toString(16);
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `8${digits.slice(13, 16)}`,
    `${variant}${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ].join("-");
}

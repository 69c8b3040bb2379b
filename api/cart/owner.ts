// Whose cart a request is about: the member's own, or that of a guest, who names itself by a UUID.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import type { Identity } from "../auth/tokens.ts";
import { uuid } from "../http/fields.ts";

export const ownerQuery = z.object({
  customerId: uuid.optional().openapi({ description: "A guest's own UUID; without a token only" }),
});

/** @throws OnrushError with `UNAUTHENTICATED` when nobody is named, `FORBIDDEN` for a name beside a token */
export function cartOwner(
  caller: Identity | undefined,
  customerId: string | undefined,
  config: { readonly guestOrders: boolean },
): string {
  if (caller?.isServer) throw new OnrushError("FORBIDDEN", "A server has no cart.");
  if (caller) {
    if (customerId !== undefined) throw new OnrushError("FORBIDDEN", "The customerId is not that of the token.");
    return caller.customerId;
  }
  if (!config.guestOrders) throw new OnrushError("UNAUTHENTICATED", "This needs an access token.");
  if (customerId === undefined) {
    throw new OnrushError("UNAUTHENTICATED", "A cart is a member's, by token, or a guest's, by ?customerId=UUID.");
  }
  return customerId;
}

// Placing an order, for those who read one: the route, by the schema, and the lane in front of the app, by plain checks. From
// who asks to the last byte of the answer both go the same way here, so that nobody can tell which one an order took. This
// is also the one place that knows every order's verdict.
import { CATALOG_SALE_ID } from "../../engine/catalogue/sales.ts";
import { OnrushError } from "../../engine/errors.ts";
import { identifyBy } from "../auth/access.ts";
import type { Identity } from "../auth/tokens.ts";
import { guarded } from "../coupons/guesses.ts";
import type { ApiDependencies } from "../dependencies.ts";
import type { Answer } from "../http/answer.ts";
import { type Edge, failureAnswer } from "../http/endpoint.ts";
import { answerAcceptance, answerReplay, ORDERS_PATH } from "./acceptance.ts";
import { resolveBuyer } from "./buyer.ts";
import {
  checkDiscounts,
  checkMeans,
  checkPayment,
  membersOf,
  type OrderBody,
  readIdempotencyKey,
} from "./order-request.ts";
import { readWaitSeconds } from "./prefer.ts";

/** Whom an order is for. */
export interface Buyer {
  readonly customerId: string;
  readonly idempotencyKey: string | undefined;
}

/** A header's value, or what stands for its absence. */
type Header = string | null | undefined;

/** The steps of an order, in their order. Each throws an OnrushError for what it refuses, which `refuse` answers. */
export interface Placing {
  /** Counts the request against its address' limit, and identifies the caller. */
  admit(address: string, authorization: Header): Identity | undefined | Promise<Identity>;
  /** Finds out whom the order is for, and counts it against the buyer's limit. `json`: the body, unchecked. */
  buyerOf(clues: {
    readonly caller: Identity | undefined;
    readonly address: string;
    readonly json: unknown;
    readonly idempotencyKey: Header;
  }): Buyer;
  /** Places the order. */
  place(buyer: Buyer, body: OrderBody, prefer: Header): Promise<Answer>;
  /** Answers what a step has thrown. */
  refuse(error: unknown): Answer;
}

export function createPlacing({ limits, metrics, tokens, log }: Edge, deps: ApiDependencies): Placing {
  const { engine, config } = deps;
  return {
    admit(address, authorization) {
      limits.order(address);
      const caller = identifyBy(authorization, tokens);
      if (!caller && !config.guestOrders) throw new OnrushError("UNAUTHENTICATED", "Ordering needs an access token.");
      return caller;
    },

    buyerOf({ caller, address, json, idempotencyKey: sent }) {
      const members = membersOf(json);
      checkMeans(members, caller !== undefined);
      const saleId = members["saleId"];
      const sale = engine.catalogue.sale(typeof saleId === "string" ? saleId : CATALOG_SALE_ID);
      if (sale?.membersOnly && !caller) throw new OnrushError("UNAUTHENTICATED", "This sale is for members.");
      const idempotencyKey = readIdempotencyKey(sent);
      const customerId = resolveBuyer({
        caller,
        customerId: members["customerId"],
        idempotencyKey,
        address,
        guestSecret: config.receiptSecret,
      });
      limits.orderOf(customerId);
      return { customerId, idempotencyKey };
    },

    async place({ customerId, idempotencyKey }, body, prefer) {
      const { saleId, items, price, payment, address } = body;
      const order = {
        saleId,
        customerId,
        items,
        price,
        payment: checkPayment(payment, config.paymentGateway, customerId),
        address,
        ...checkDiscounts(body, customerId),
        idempotencyKey,
      };
      const waitSeconds = readWaitSeconds(prefer);
      // A wish that cannot be granted is not said to have been.
      const isWaiting = waitSeconds !== undefined && engine.commits.mayWait;
      const wishes = isWaiting ? { waitForPostgresMs: waitSeconds * 1_000 } : undefined;
      const placed = await guarded(limits, order, () => engine.place(order, wishes));
      const applied = isWaiting ? { "preference-applied": `wait=${waitSeconds}` } : undefined;
      if (placed.type === "placed") {
        metrics.order("accepted");
        return answerAcceptance(placed, applied);
      }
      const answer = await answerReplay(deps, placed.orderId, applied);
      metrics.order("replayed");
      return answer;
    },

    refuse(error) {
      metrics.order(error instanceof OnrushError ? error.code : "INTERNAL");
      return failureAnswer(error, log, "post", ORDERS_PATH);
    },
  };
}

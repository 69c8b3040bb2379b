// POST /orders through the app: one function from the request to the answer, with nothing in between that the order does not
// need: no middleware, one read of the body, one parse, one schema. Most orders do not even come here: see order-lane.ts.
import type { ApiDependencies } from "../dependencies.ts";
import { responseOf } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import { documentEndpoint, type Edge, type EndpointDocs, route } from "../http/endpoint.ts";
import { invalidBy } from "../http/fields.ts";
import { ORDERS_PATH } from "./acceptance.ts";
import { orderHeaders, orderRequest, placingDocs } from "./order-request.ts";
import { createPlacing } from "./placing.ts";

const DOCS: EndpointDocs = {
  method: "post",
  path: ORDERS_PATH,
  summary: "Place an order",
  description:
    "Reserves the units of all lines, or none. 202: they are held until reservedUntil, and payment is under way (`later`: " +
    "waits for POST /orders/{id}/payments). 201: the same, and committed in Postgres, which `Prefer: wait=N` waits for. " +
    "`acknowledged` is the durability that was reached. OUTCOME_UNKNOWN names the order that stands if it was accepted.",
  tag: "Orders",
  access: "public",
  headers: orderHeaders,
  ...placingDocs,
};

export function placeOrderRoute(edge: Edge, deps: ApiDependencies): void {
  const placing = createPlacing(edge, deps);
  documentEndpoint(edge, DOCS, undefined, orderRequest);

  route(edge, "post", ORDERS_PATH, async (c) => {
    const { headers } = c.req.raw;
    try {
      const address = edge.addressOf(c);
      let caller = placing.admit(address, headers.get("authorization"));
      if (caller instanceof Promise) caller = await caller;
      const json = await readJson(c);
      const buyer = placing.buyerOf({ caller, address, json, idempotencyKey: headers.get("idempotency-key") });
      const body = orderRequest.safeParse(json);
      if (!body.success) throw invalidBy(body.error);
      return responseOf(await placing.place(buyer, body.data, headers.get("prefer")));
    } catch (error) {
      return responseOf(placing.refuse(error));
    }
  });
}

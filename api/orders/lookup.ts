// Finding one order, wherever it is on its way: in Postgres, else in the partition's log, else in Postgres after all, as it
// may have arrived there in between.
import { OnrushError } from "../../engine/errors.ts";
import { findOrder, type OrderWithLines } from "../../engine/ledger/orders.ts";
import { parseOrderId } from "../../engine/order-id.ts";
import { findPendingOrder, type PendingOrder } from "../../engine/pending.ts";
import { isOperator } from "../auth/access.ts";
import type { Identity } from "../auth/tokens.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { isPostgresAway } from "../http/failures.ts";
import { type OrderView, representOrder, representPendingOrder } from "./representation.ts";

export type FoundOrder =
  | { readonly in: "ledger"; readonly order: OrderWithLines; readonly view: OrderView }
  | {
      readonly in: "log";
      readonly order: PendingOrder;
      readonly saleId: string;
      readonly partition: number;
      readonly view: OrderView;
    };

type Source = Pick<ApiDependencies, "pool" | "redis" | "engine">;

/** Finds an order by its tracking id; `undefined` when there is none, also when the id is malformed. */
export async function lookUpOrder(source: Source, id: string): Promise<FoundOrder | undefined> {
  const parts = parseOrderId(id);
  if (!parts) return undefined;
  let away: unknown;
  const row = await findOrder(source.pool, id).catch((error: unknown) => {
    // An order that Redis has can be told of while Postgres is away.
    if (!isPostgresAway(error)) throw error;
    away = error;
    return undefined;
  });
  if (row) return inLedger(row);
  const sale = source.engine.catalogue.saleByNo(parts.saleNo);
  if (sale && parts.partition < sale.partitions) {
    const at = { saleId: sale.id, partition: parts.partition };
    const order = await findPendingOrder(source.redis, at, id);
    if (order) return { in: "log", order, ...at, view: representPendingOrder(order, sale.id) };
  }
  if (away !== undefined) throw away;
  const arrived = await findOrder(source.pool, id);
  return arrived && inLedger(arrived);
}

/**
 * Finds an order that the caller may see: a guest's is known by its id alone, a member's is the member's and operators'.
 *
 * @throws OnrushError with `NOT_FOUND`, whether there is no such order or it is somebody else's
 */
export async function findOrderFor(source: Source, id: string, caller: Identity | undefined): Promise<FoundOrder> {
  const found = await lookUpOrder(source, id.toLowerCase());
  if (!found || !maySee(found.view.customerId, caller)) throw new OnrushError("NOT_FOUND", "There is no such order.");
  return found;
}

/** Whether the caller may see and handle an order of that customer, knowing its id. */
export function maySee(customerId: string, caller: Identity | undefined): boolean {
  return !isMember(customerId) || caller?.customerId === customerId || isOperator(caller);
}

/** Member ids start with `cus_`; guests' are UUIDs. */
export function isMember(customerId: string): boolean {
  return customerId.startsWith("cus_");
}

function inLedger(order: OrderWithLines): FoundOrder {
  return { in: "ledger", order, view: representOrder(order) };
}

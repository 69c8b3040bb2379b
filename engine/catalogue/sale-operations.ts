// What operators do to sales: create, edit, open, pause and close. Each is one transaction with its record in the audit
// trail. What is committed here is carried to Redis by propagation.ts, or, when Redis is away, by a sweep.
import type pg from "pg";
import { OnrushError } from "../errors.ts";
import { type AuditAction, recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import type { NewSale, SaleEdit } from "./input.ts";
import { checkSaleId, invalidInput, type Operator, unknownSale } from "./operator.ts";
import { findProduct } from "./products.ts";
import {
  addSaleItem,
  allocate,
  createSale,
  lockSale,
  type Sale,
  type SalePatch,
  updateSale,
  updateSaleItem,
} from "./sales.ts";

/**
 * Creates a sale with its stock; all its items are in one currency.
 *
 * @param now when it opens unless it says so
 * @returns its id
 * @throws OnrushError with `VALIDATION`, or `INVALID_STATE` when there is a sale of that id
 */
export async function createSaleBy(
  pool: pg.Pool,
  input: NewSale,
  defaults: { readonly now: Date; readonly reservationTtlMs: number },
  operator: Operator,
): Promise<string> {
  const { reservationTtlSeconds, id: wantedId, items, opensAt = defaults.now, ...rest } = input;
  const closesAt = rest.closesAt ?? null;
  checkWindow(opensAt, closesAt);
  return await transaction(pool, async (client) => {
    const currency = await commonCurrency(client, items);
    const id = await createSale(
      client,
      {
        ...rest,
        ...(wantedId !== undefined && { id: wantedId }),
        currency,
        opensAt,
        closesAt,
        reservationTtlMs: reservationTtlSeconds ? reservationTtlSeconds * 1_000 : defaults.reservationTtlMs,
        items: items.map(({ productId, stock, price = null, perCustomerLimit = null }) => ({
          productId,
          stock,
          price,
          perCustomerLimit,
        })),
      },
      operator.actor,
    );
    if (id === undefined) throw new OnrushError("INVALID_STATE", "There is a sale with this id.", { id: wantedId });
    const after = { ...input, opensAt, closesAt, currency };
    await recordAudit(client, { ...operator, action: "sale.create", subject: `sale:${id}`, after });
    return id;
  });
}

/** @throws OnrushError with `VALIDATION` naming the first item that does not fit */
async function commonCurrency(client: pg.ClientBase, items: readonly { productId: string }[]): Promise<string> {
  let currency: string | undefined;
  for (const [i, { productId }] of items.entries()) {
    const product = await findProduct(client, productId);
    if (!product) throw invalidInput(`items.${i}.productId`, "there is no such product");
    currency ??= product.currency;
    if (product.currency !== currency) throw invalidInput(`items.${i}.productId`, `is not sold in ${currency}`);
  }
  if (currency === undefined) throw invalidInput("items", "a sale needs at least one item");
  return currency;
}

/**
 * Changes what the edit names, for orders from now on: reservations that are held keep their deadline, orders their price.
 * Stock moves only by adding an item; the rest is for restock and write-off.
 *
 * @throws OnrushError with `NOT_FOUND`; `VALIDATION`; `INVALID_STATE` when `version` is given and is not the sale's
 */
export async function editSaleBy(pool: pg.Pool, saleId: string, edit: SaleEdit, operator: Operator): Promise<Sale> {
  const { items = [], version, reason, reservationTtlSeconds, ...settings } = edit;
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  const patch: SalePatch = {
    ...given,
    ...(reservationTtlSeconds !== undefined && { reservationTtlMs: reservationTtlSeconds * 1_000 }),
  };
  const by = { actor: operator.actor, reason: reason ?? operator.reason };
  return await changeSale(pool, saleId, "sale.edit", by, async (client, sale) => {
    if (version !== undefined && version !== sale.version) {
      throw new OnrushError("INVALID_STATE", "The sale was changed in between; read it again.", {
        version: sale.version,
        sent: version,
      });
    }
    checkWindow(patch.opensAt ?? sale.opensAt, patch.closesAt === undefined ? sale.closesAt : patch.closesAt);
    for (const [i, item] of items.entries()) await editItem(client, sale, item, `items.${i}`, operator.actor);
    return patch;
  });
}

async function editItem(
  client: pg.ClientBase,
  sale: Sale,
  item: NonNullable<SaleEdit["items"]>[number],
  path: string,
  actor: string,
): Promise<void> {
  const { productId, stock } = item;
  if (sale.items.some((known) => known.productId === productId)) {
    if (stock !== undefined) throw invalidInput(`${path}.stock`, "is for new items; restock or write off this one");
    await updateSaleItem(client, sale.id, item);
    return;
  }
  const product = await findProduct(client, productId);
  if (!product) throw invalidInput(`${path}.productId`, "there is no such product");
  if (product.currency !== sale.currency) throw invalidInput(`${path}.productId`, `is not sold in ${sale.currency}`);
  const { price = null, perCustomerLimit = null } = item;
  await addSaleItem(client, sale.id, { productId, price, perCustomerLimit });
  await allocate(client, sale, productId, stock ?? 0, "initial", actor);
}

/**
 * Opens a sale now, whatever its opening time; also after a pause or a close.
 *
 * @param now by the clock that opens and closes sales
 * @throws OnrushError with `NOT_FOUND`, or `INVALID_STATE` when its closing time has passed
 */
export async function openSaleBy(pool: pg.Pool, saleId: string, now: Date, operator: Operator): Promise<Sale> {
  return await changeSale(pool, saleId, "sale.open", operator, async (_client, sale) => {
    if (sale.closesAt !== null && sale.closesAt <= now) {
      throw new OnrushError("INVALID_STATE", "The sale's closing time has passed; change it first.", {
        closesAt: sale.closesAt,
      });
    }
    return { admission: "open", ...(sale.opensAt > now && { opensAt: now }) };
  });
}

/** Takes no orders until the sale is opened again. @throws OnrushError with `NOT_FOUND`, `INVALID_STATE` when it is closed */
export async function pauseSaleBy(pool: pg.Pool, saleId: string, operator: Operator): Promise<Sale> {
  return await changeSale(pool, saleId, "sale.pause", operator, async (_client, sale) => {
    if (sale.admission === "closed") throw new OnrushError("INVALID_STATE", "The sale is closed.");
    return { admission: "paused" };
  });
}

/** Takes no more orders. @throws OnrushError with `NOT_FOUND` */
export async function closeSaleBy(pool: pg.Pool, saleId: string, operator: Operator): Promise<Sale> {
  return await changeSale(pool, saleId, "sale.close", operator, async () => ({ admission: "closed" }));
}

async function changeSale(
  pool: pg.Pool,
  saleId: string,
  action: AuditAction,
  operator: Operator,
  work: (client: pg.ClientBase, sale: Sale) => Promise<SalePatch>,
): Promise<Sale> {
  checkSaleId(saleId);
  return await transaction(pool, async (client) => {
    const before = await lockSale(client, saleId);
    if (!before) throw unknownSale(saleId);
    await updateSale(client, saleId, await work(client, before));
    const after = await lockSale(client, saleId);
    if (!after) throw new Error(`sale ${saleId} vanished under its lock`);
    await recordAudit(client, { ...operator, action, subject: `sale:${saleId}`, ...changesBetween(before, after) });
    return after;
  });
}

const COMPARED = [
  "name",
  "opensAt",
  "closesAt",
  "admission",
  "reservationTtlMs",
  "onDecline",
  "membersOnly",
  "stockVisibility",
  "version",
] as const satisfies readonly (keyof Sale)[];

/** What differs, on both sides: settings by name, items that were changed or added. */
function changesBetween(before: Sale, after: Sale): { before: object; after: object } {
  const differing = COMPARED.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  const pick = (sale: Sale) => Object.fromEntries(differing.map((name) => [name, sale[name]]));
  const known = new Map(before.items.map((item) => [item.productId, item]));
  const items = after.items.filter((item) => JSON.stringify(item) !== JSON.stringify(known.get(item.productId)));
  if (items.length === 0) return { before: pick(before), after: pick(after) };
  const old = items.map((item) => known.get(item.productId)).filter((item) => item !== undefined);
  return { before: { ...pick(before), items: old }, after: { ...pick(after), items } };
}

function checkWindow(opensAt: Date, closesAt: Date | null): void {
  if (closesAt !== null && closesAt <= opensAt) throw invalidInput("closesAt", "must be later than opensAt");
}

// What an import is going to do: which sales and products it makes, which sales it changes, and what is wrong with it. It
// is decided for all of the file before anything is written.
import type pg from "pg";
import { z } from "zod";
import {
  amountSchema,
  type NewSale,
  newSaleSchema,
  type SaleEdit,
  saleEditSchema,
} from "../../engine/catalogue/input.ts";
import type { ProductInput } from "../../engine/catalogue/products.ts";
import { listSales, type Sale } from "../../engine/catalogue/sales.ts";
import { describeIssue } from "../issues.ts";
import type { Entries, ImportIssue, SaleEntry } from "./entries.ts";

export interface PlannedProduct extends ProductInput {
  readonly id: string;
}

export interface PlannedSale {
  readonly id: string;
  readonly action: "create" | "change" | "nothing";
  readonly products: readonly PlannedProduct[];
  /** Items that are new to the sale, or changed. */
  readonly items: number;
  readonly create?: NewSale;
  readonly edit?: SaleEdit;
}

export interface ImportPlan {
  readonly sales: readonly PlannedSale[];
  readonly issues: readonly ImportIssue[];
}

interface KnownProduct {
  readonly id: string;
  readonly currency: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const CURRENCY_DEFAULT = "KRW";
const productSchema = z.object({
  name: z.string().min(1).max(200),
  price: amountSchema(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "must be an ISO 4217 code")
    .default(CURRENCY_DEFAULT),
});

export async function planImport(pool: pg.Pool, entries: Entries): Promise<ImportPlan> {
  const issues = [...entries.issues];
  const existing = new Map((await listSales(pool)).map((sale) => [sale.id, sale]));
  const ids = entries.sales.flatMap((sale) => sale.items.map((item) => String(item.fields["productId"]).toLowerCase()));
  const products = await findProducts(pool, ids);
  const sales: PlannedSale[] = [];
  const seen = new Set<string>();
  for (const entry of entries.sales) {
    const id = String(entry.fields["id"] ?? "");
    if (seen.has(id)) issues.push({ at: entry.at, message: `the sale ${id} is named twice` });
    seen.add(id);
    const planned = planSale(entry, existing.get(id), products, issues);
    if (planned) sales.push(planned);
  }
  if (entries.sales.length === 0 && issues.length === 0) issues.push({ at: "the file", message: "names no sale" });
  return { sales, issues };
}

function planSale(
  entry: SaleEntry,
  existing: Sale | undefined,
  products: Map<string, KnownProduct>,
  issues: ImportIssue[],
): PlannedSale | undefined {
  const known = new Map(existing?.items.map((item) => [item.productId, item]));
  const made: PlannedProduct[] = [];
  let currency = existing?.currency;
  for (const { at, fields } of entry.items) {
    const productId = String(fields["productId"] ?? "").toLowerCase();
    let product = products.get(productId);
    if (!product && fields["product"] !== undefined) {
      const read = productSchema.safeParse(fields["product"]);
      for (const issue of read.error?.issues ?? []) issues.push({ at, message: `product: ${describeIssue(issue)}` });
      if (read.success) {
        product = { id: productId, currency: read.data.currency };
        products.set(productId, product);
        made.push({ id: productId, description: "", ...read.data });
      }
    } else if (!product && UUID.test(productId)) {
      issues.push({ at, message: `there is no product ${productId}; productName and productPrice would make it` });
    }
    currency ??= product?.currency;
    if (product && product.currency !== currency) issues.push({ at, message: `is not sold in ${currency}` });
  }
  const items = entry.items.map(({ fields: { product: _product, ...fields } }) => fields);
  const given = { ...entry.fields, items };
  if (!existing) {
    const read = newSaleSchema().safeParse(given);
    if (entry.fields["id"] === undefined || entry.fields["id"] === "") {
      issues.push({ at: entry.at, message: "a sale that is imported needs an id, so that the import can be repeated" });
    }
    if (!read.success) return note(read.error, entry, issues);
    return { id: String(read.data.id), action: "create", products: made, items: items.length, create: read.data };
  }
  const { id: _id, partitions, ...settings } = given as Record<string, unknown>;
  if (partitions !== undefined && partitions !== existing.partitions) {
    issues.push({ at: entry.at, message: `partitions: the sale has ${existing.partitions}, which stay` });
  }
  // The stock of an item that is there is for restock and write-off: an import that is repeated must not add it again.
  const edited = items.map((item) => {
    const { stock: _stock, ...rest } = item;
    return known.has(String(item["productId"]).toLowerCase()) ? rest : item;
  });
  const read = saleEditSchema().safeParse({ ...settings, items: edited });
  if (!read.success) return note(read.error, entry, issues);
  const edit = onlyChanges(read.data, existing);
  const changes = Object.keys(edit).length > 0;
  const changed = { items: edit.items?.length ?? 0, products: made, edit };
  return { id: existing.id, action: changes || made.length > 0 ? "change" : "nothing", ...changed };
}

function note(error: z.ZodError, entry: SaleEntry, issues: ImportIssue[]): undefined {
  for (const issue of error.issues) {
    const [first, index, ...rest] = issue.path;
    const item = first === "items" && typeof index === "number" ? entry.items[index] : undefined;
    const path = item ? rest : issue.path;
    const at = item?.at ?? entry.at;
    // What could not be read was told of already, and is only missing here.
    const field = `${path.map(String).join(".")}:`;
    if (issues.some((known) => known.at === at && known.message.startsWith(field))) continue;
    issues.push({ at, message: describeIssue({ path, message: issue.message }) });
  }
}

/** What of the edit differs from the sale. */
function onlyChanges(edit: SaleEdit, sale: Sale): SaleEdit {
  const { items = [], ...settings } = edit;
  const now: Readonly<Record<string, unknown>> = { ...sale, reservationTtlSeconds: sale.reservationTtlMs / 1_000 };
  const differing = Object.entries(settings).filter(
    ([name, value]) => value !== undefined && JSON.stringify(value) !== JSON.stringify(now[name]),
  );
  const known = new Map(sale.items.map((item) => [item.productId, item]));
  const changed = items.filter(({ productId, price, perCustomerLimit }) => {
    const item = known.get(productId);
    const samePrice = price === undefined || price === item?.price;
    return !item || !samePrice || (perCustomerLimit !== undefined && perCustomerLimit !== item.perCustomerLimit);
  });
  return { ...Object.fromEntries(differing), ...(changed.length > 0 && { items: changed }) };
}

async function findProducts(pool: pg.Pool, ids: readonly string[]): Promise<Map<string, KnownProduct>> {
  const uuids = ids.filter((id) => UUID.test(id));
  const result = await pool.query<KnownProduct>(
    "SELECT id, currency FROM products WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL",
    [uuids],
  );
  return new Map(result.rows.map((product) => [product.id, product]));
}

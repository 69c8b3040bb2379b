// Sales as a file names them, before they are checked: from CSV, one row an item, or from JSON. Everything remembers where
// it stood, so that whoever made the file finds what is wrong with it.
import { type CsvError, parse } from "csv-parse/sync";
import { delimiterOf, knownColumn } from "./heading.ts";

/** What is wrong, and where: `line 7` of a CSV file, `sales[2].items[0]` of a JSON one. */
export interface ImportIssue {
  readonly at: string;
  readonly message: string;
}

export interface EntryItem {
  readonly at: string;
  /** As an item of `POST /sales`, and `product` with `name`, `price`, `currency` to make it when it is missing. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface SaleEntry {
  readonly at: string;
  /** As the body of `POST /sales`, without `items`. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly items: readonly EntryItem[];
}

export interface Entries {
  readonly sales: readonly SaleEntry[];
  readonly issues: readonly ImportIssue[];
}

const ROWS_MAX = 100_000;
const SALE_FIELDS = [
  "name",
  "opensAt",
  "closesAt",
  "reservationTtlSeconds",
  "partitions",
  "onDecline",
  "membersOnly",
  "stockVisibility",
];
const ITEM_FIELDS = ["stock", "price", "perCustomerLimit"];
const PRODUCT_FIELDS: Readonly<Record<string, string>> = {
  productName: "name",
  productPrice: "price",
  currency: "currency",
};
const COLUMNS = ["sale", ...SALE_FIELDS, "productId", ...ITEM_FIELDS, ...Object.keys(PRODUCT_FIELDS)];
const NUMBERS = new Set(["reservationTtlSeconds", "partitions", ...ITEM_FIELDS, "productPrice"]);

type Row = { readonly info: { readonly lines: number }; readonly record: Record<string, string> };

/** Reads CSV: a heading of column names, then one row an item; rows of one sale belong together by the column `sale`. */
export function readCsv(text: string): Entries {
  const issues: ImportIssue[] = [];
  const rows = parseRows(text, issues);
  const sales = new Map<string, { at: string; fields: Record<string, unknown>; items: EntryItem[] }>();
  for (const { info, record } of rows) {
    const at = `line ${info.lines}`;
    const values = readValues(record, at, issues);
    const id = String(record["sale"] ?? "");
    const sale = sales.get(id) ?? { at, fields: { id }, items: [] };
    sales.set(id, sale);
    for (const name of SALE_FIELDS) {
      const value = values[name];
      if (value === undefined) continue;
      if (sale.fields[name] !== undefined && sale.fields[name] !== value) {
        issues.push({ at, message: `${name}: another row of the sale ${id} says ${String(sale.fields[name])}` });
      }
      sale.fields[name] = value;
    }
    sale.items.push({ at, fields: itemOf(values) });
  }
  return { sales: [...sales.values()], issues };
}

function parseRows(text: string, issues: ImportIssue[]): readonly Row[] {
  try {
    return parse(text, {
      bom: true,
      delimiter: delimiterOf(text),
      info: true,
      skip_empty_lines: true,
      trim: true,
      to: ROWS_MAX,
      columns: (names: string[]) => names.map((name) => knownColumn(name, COLUMNS, issues)),
    }) as unknown as Row[];
  } catch (error) {
    const { message, lines } = error as CsvError & { lines?: number };
    issues.push({ at: lines === undefined ? "the file" : `line ${lines}`, message });
    return [];
  }
}

/** Cells as values; an empty cell says nothing. */
function readValues(record: Record<string, string>, at: string, issues: ImportIssue[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(record)) {
    if (text === "") continue;
    if (NUMBERS.has(name)) {
      if (/^-?\d{1,15}$/.test(text)) values[name] = Number(text);
      else issues.push({ at, message: `${name}: ${text} is no whole number` });
    } else if (name === "membersOnly") {
      if (/^(yes|no|true|false)$/i.test(text)) values[name] = /^(yes|true)$/i.test(text);
      else issues.push({ at, message: `${name}: must be yes or no` });
    } else if (name === "closesAt" && text === "never") values[name] = null;
    else values[name] = text;
  }
  return values;
}

function itemOf(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const item: Record<string, unknown> = { productId: values["productId"] };
  for (const name of ITEM_FIELDS) if (values[name] !== undefined) item[name] = values[name];
  const product = Object.entries(PRODUCT_FIELDS)
    .filter(([column]) => values[column] !== undefined)
    .map(([column, name]) => [name, values[column]]);
  if (product.length > 0) item["product"] = Object.fromEntries(product);
  return item;
}

/** Reads JSON: a list of sales as `POST /sales` takes them, or `{"sales": [...]}`. */
export function readJson(text: string): Entries {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    return { sales: [], issues: [{ at: "the file", message: (error as Error).message }] };
  }
  const list = Array.isArray(content) ? content : (content as { sales?: unknown } | null)?.sales;
  if (!Array.isArray(list)) return { sales: [], issues: [{ at: "the file", message: "must be a list of sales" }] };
  const issues: ImportIssue[] = [];
  const sales = list.flatMap((entry: unknown, i): SaleEntry[] => {
    const at = `sales[${i}]`;
    if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
      issues.push({ at, message: "must be an object" });
      return [];
    }
    const { items, ...fields } = entry as Record<string, unknown>;
    const known = Array.isArray(items) ? items : [];
    return [{ at, fields, items: known.map((item, j) => ({ at: `${at}.items[${j}]`, fields: asFields(item) })) }];
  });
  return { sales, issues };
}

function asFields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : { productId: value };
}

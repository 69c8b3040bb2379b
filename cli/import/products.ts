// Products as a file names them, each with where it stood; what is wrong with one does not stop the others.
import { randomUUID } from "node:crypto";
import { productSchema } from "../../engine/catalogue/input.ts";
import type { ImportedProduct } from "../../engine/catalogue/product-import.ts";
import { describeIssue } from "../issues.ts";
import type { ImportIssue } from "./entries.ts";
import { readCsvRows } from "./rows.ts";

export interface FiledProduct extends ImportedProduct {
  readonly at: string;
}

export interface FiledProducts {
  readonly products: readonly FiledProduct[];
  readonly issues: readonly ImportIssue[];
}

type Fields = Readonly<Record<string, unknown>>;

const COLUMNS = ["id", "name", "description", "price", "currency", "imageUrl"] as const;

/** CSV with a heading; a product without an id is a new one. */
export function readProductCsv(text: string): FiledProducts {
  const { take, filed } = collect();
  readCsvRows(text, COLUMNS, filed.issues, (at, cells) => take(at, valuesOf(cells)));
  return filed;
}

/** JSON: a list of products as POST /products takes them, or the same one a line. */
export function readProductJson(text: string): FiledProducts {
  const { take, filed } = collect();
  const add = (at: string, value: unknown) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) take(at, value as Fields);
    else filed.issues.push({ at, message: "must be an object" });
  };
  if (text.trimStart().startsWith("[")) {
    try {
      (JSON.parse(text) as unknown[]).forEach((value, i) => {
        add(`products[${i}]`, value);
      });
    } catch (error) {
      filed.issues.push({ at: "the file", message: (error as Error).message });
    }
    return filed;
  }
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    try {
      add(`line ${i + 1}`, JSON.parse(line));
    } catch (error) {
      filed.issues.push({ at: `line ${i + 1}`, message: (error as Error).message });
    }
  });
  return filed;
}

/** Cells as values; an empty one says nothing. The apostrophe that keeps a text from being a formula is no part of it. */
function valuesOf(record: Readonly<Record<string, string>>): Record<string, unknown> {
  const given = Object.entries(record)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => [name, value.replace(/^'(?=[=+\-@\t\r＝＋－＠])/, "")] as const);
  return Object.fromEntries(given.map(([name, value]) => [name, name === "price" ? numberOf(value) : value]));
}

function numberOf(value: string): unknown {
  return /^-?\d{1,16}(\.\d{1,16})?$/.test(value) ? Number(value) : value;
}

/** Takes products one by one, as they are read, and keeps those that are right. */
function collect() {
  const schema = productSchema();
  const filed = { products: [] as FiledProduct[], issues: [] as ImportIssue[] };
  const seen = new Map<string, string>();
  const take = (at: string, fields: Fields) => {
    const parsed = schema.safeParse(fields);
    if (!parsed.success) {
      filed.issues.push({ at, message: parsed.error.issues.map(describeIssue).join("; ") });
      return;
    }
    const { id = randomUUID(), ...product } = parsed.data;
    const first = seen.get(id);
    if (first !== undefined) {
      filed.issues.push({ at, message: `id: the same as at ${first}` });
      return;
    }
    seen.set(id, at);
    filed.products.push({ id, ...product, at });
  };
  return { take, filed };
}

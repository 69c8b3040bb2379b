// Products as a file names them, each with where it stood; what is wrong with one does not stop the others.
import { randomUUID } from "node:crypto";
import { parse } from "csv-parse/sync";
import { productSchema } from "../../engine/catalogue/input.ts";
import type { ImportedProduct } from "../../engine/catalogue/product-import.ts";
import { describeIssue } from "../issues.ts";
import type { ImportIssue } from "./entries.ts";
import { delimiterOf, knownColumn } from "./heading.ts";

export interface FiledProduct extends ImportedProduct {
  readonly at: string;
}

export interface FiledProducts {
  readonly products: readonly FiledProduct[];
  readonly issues: readonly ImportIssue[];
}

const COLUMNS = ["id", "name", "description", "price", "currency", "imageUrl"] as const;

/** CSV with a heading; a product without an id is a new one. */
export function readProductCsv(text: string): FiledProducts {
  const issues: ImportIssue[] = [];
  const rows: { at: string; fields: Record<string, unknown> }[] = [];
  try {
    const parsed = parse(text, {
      bom: true,
      delimiter: delimiterOf(text),
      info: true,
      skip_empty_lines: true,
      trim: true,
      columns: (names: string[]) => names.map((name) => knownColumn(name, COLUMNS, issues)),
      // A row that is no row is told of by its line, and left out.
      skip_records_with_error: true,
      on_skip: (error) => void issues.push({ at: `line ${error?.["lines"] ?? "?"}`, message: error?.message ?? "" }),
    }) as unknown as { info: { lines: number }; record: Record<string, string> }[];
    for (const { info, record } of parsed) {
      rows.push({ at: `line ${info.lines}`, fields: valuesOf(record) });
    }
  } catch (error) {
    issues.push({ at: "the file", message: (error as Error).message });
  }
  return check(rows, issues);
}

/** JSON: a list of products as POST /products takes them, or the same one a line. */
export function readProductJson(text: string): FiledProducts {
  const issues: ImportIssue[] = [];
  const rows: { at: string; fields: Record<string, unknown> }[] = [];
  const add = (at: string, value: unknown) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      rows.push({ at, fields: value as Record<string, unknown> });
    } else issues.push({ at, message: "must be an object" });
  };
  if (text.trimStart().startsWith("[")) {
    try {
      (JSON.parse(text) as unknown[]).forEach((value, i) => {
        add(`products[${i}]`, value);
      });
    } catch (error) {
      issues.push({ at: "the file", message: (error as Error).message });
    }
    return check(rows, issues);
  }
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    try {
      add(`line ${i + 1}`, JSON.parse(line));
    } catch (error) {
      issues.push({ at: `line ${i + 1}`, message: (error as Error).message });
    }
  });
  return check(rows, issues);
}

/** Cells as values; an empty one says nothing. The apostrophe that keeps a text from being a formula is no part of it. */
function valuesOf(record: Readonly<Record<string, string>>): Record<string, unknown> {
  const given = Object.entries(record)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => [name, value.replace(/^'(?=[=+\-@\t\r＝＋－＠])/, "")] as const);
  return Object.fromEntries(given.map(([name, value]) => [name, name === "price" ? numberOf(value) : value]));
}

function numberOf(value: string): unknown {
  return /^-?\d{1,16}$/.test(value) ? Number(value) : value;
}

function check(rows: readonly { at: string; fields: Record<string, unknown> }[], issues: ImportIssue[]): FiledProducts {
  const schema = productSchema();
  const products: FiledProduct[] = [];
  const seen = new Map<string, string>();
  for (const { at, fields } of rows) {
    const parsed = schema.safeParse(fields);
    if (!parsed.success) {
      issues.push({ at, message: parsed.error.issues.map(describeIssue).join("; ") });
      continue;
    }
    const { id = randomUUID(), ...product } = parsed.data;
    const first = seen.get(id);
    if (first !== undefined) issues.push({ at, message: `id: the same as at ${first}` });
    else {
      seen.set(id, at);
      products.push({ id, ...product, at });
    }
  }
  return { products, issues };
}

// `onrush product`: the catalogue, and files of it.
import path from "node:path";
import type { Command } from "commander";
import { countProducts, exportProducts, IMPORT_BATCH, importProducts } from "../../engine/catalogue/product-import.ts";
import { searchProducts } from "../../engine/catalogue/product-search.ts";
import { listProducts, type Product } from "../../engine/catalogue/products.ts";
import { csvRows } from "../../engine/csv.ts";
import { CHANNELS } from "../../engine/keys.ts";
import { addCommand, oneOf, wholeNumber } from "../command.ts";
import { UsageError } from "../failure.ts";
import { readText } from "../import/content.ts";
import type { ImportIssue } from "../import/entries.ts";
import { type FiledProducts, readProductCsv, readProductJson } from "../import/products.ts";
import { startProgress } from "../progress.ts";
import { type Servers, withDatabase, withServers } from "../servers.ts";
import { table } from "../table.ts";

const SHOWN_MAX = 100;
const LIMIT_DEFAULT = 50;
const REFUSALS = {
  DELETED: "id: the product was deleted",
  CURRENCY: "currency: a sale offers this product in another one",
} as const;

export function productCommands(product: Command): void {
  addCommand<{ query?: string; limit?: number }>(product, {
    usage: "list",
    summary: "products, or those that a query finds",
    examples: ["onrush product list", "onrush product list --query 커피 --json"],
    options: [
      { flags: "--query <text>", help: "parts of the name, or words of the description" },
      { flags: "--limit <n>", help: `how many, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) },
    ],
    run: ({ options: { query, limit = LIMIT_DEFAULT }, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const found = query?.trim()
          ? await searchProducts(pool, { query, limit })
          : await listProducts(pool, { limit });
        const cells = found.map(({ id, name, price, currency }) => [id, name, price, currency]);
        const screen = () => table(["id", "name", "price", ""], cells, { columns: terminal.columns, whole: ["id"] });
        await answer(found, () => (found.length === 0 ? "There is no such product." : screen()));
      }),
  });

  addCommand<{ dryRun?: boolean; reason?: string }>(product, {
    usage: "import <file>",
    summary: "makes and changes products from a CSV or JSON file",
    details:
      "CSV has the columns id, name, description, price, currency, imageUrl; JSON is a list of products, or one a line. " +
      "What is wrong is told by line and does not stop the others. A product whose id is there is changed; one " +
      "without an id is new each time. Exit code 1 when anything was wrong.",
    examples: ["onrush product import catalogue.csv --dry-run", "onrush product import catalogue.json --yes"],
    options: [
      { flags: "--dry-run", help: "only check, and say what is wrong" },
      { flags: "--reason <text>", help: "why, for the audit trail" },
    ],
    changes: ({ dryRun }) => !dryRun,
    run: async ({ args: [file = ""], options: { dryRun, reason, json }, answer, confirm }) => {
      const filed = await readProducts(file);
      if (dryRun || filed.products.length === 0) {
        await answer({ applied: false, products: filed.products.length, issues: filed.issues }, () =>
          [...told(filed.issues), `${filed.products.length} products could be imported; nothing was changed.`].join(
            "\n",
          ),
        );
        if (filed.issues.length > 0) process.exitCode = 1;
        return;
      }
      await withServers(async (servers) => {
        await confirm(`Import ${filed.products.length} products?`);
        const done = await carryOut(servers, filed, { reason, lines: !json });
        await answer({ applied: true, ...done }, () =>
          [
            ...told(done.issues),
            `${done.created} products made, ${done.changed} changed, ${done.same} as they were.`,
          ].join("\n"),
        );
        if (done.issues.length > 0) process.exitCode = 1;
      });
    },
  });

  addCommand<{ format?: "csv" | "jsonl" }>(product, {
    usage: "export",
    summary: "all products as CSV or JSON lines, as import takes them",
    examples: ["onrush product export > catalogue.csv", "onrush product export --format jsonl > catalogue.jsonl"],
    options: [{ flags: "--format <format>", help: "csv (default) or jsonl", parse: oneOf("csv", "jsonl") }],
    run: ({ options, terminal }) =>
      withDatabase(async ({ pool }) => {
        const format = "json" in options ? "jsonl" : (options.format ?? "csv");
        const progress = startProgress("Exporting");
        const total = await countProducts(pool);
        let done = 0;
        if (format === "csv")
          await terminal.write(csvRows([["id", "name", "description", "price", "currency", "imageUrl"]]));
        for await (const page of exportProducts(pool)) {
          await terminal.write(page.map((row) => rendered(row, format)).join(""));
          done += page.length;
          progress.at(done, Math.max(total, done));
        }
        progress.end();
      }),
  });
}

async function readProducts(file: string): Promise<FiledProducts> {
  const extension = path.extname(file).toLowerCase();
  if (![".csv", ".json", ".jsonl"].includes(extension)) {
    throw new UsageError("The file must end in .csv, .json or .jsonl.");
  }
  const text = await readText(file);
  return extension === ".csv" ? readProductCsv(text) : readProductJson(text);
}

async function carryOut(
  { pool, redis, actor }: Servers,
  { products, issues }: FiledProducts,
  { reason, lines }: { reason: string | undefined; lines: boolean },
) {
  const progress = startProgress("Importing", { lines });
  const all: ImportIssue[] = [...issues];
  const sums = { created: 0, changed: 0, same: 0 };
  try {
    for (let from = 0; from < products.length; from += IMPORT_BATCH) {
      const batch = products.slice(from, from + IMPORT_BATCH);
      const { created, changed, same, refused } = await importProducts(pool, batch, { actor, reason });
      sums.created += created;
      sums.changed += changed;
      sums.same += same;
      for (const { id, at } of batch) {
        const why = refused.get(id);
        if (why) all.push({ at, message: REFUSALS[why] });
      }
      progress.at(Math.min(from + IMPORT_BATCH, products.length), products.length);
    }
  } finally {
    progress.end();
  }
  await redis.publish(CHANNELS.catalogue, "imported");
  return { ...sums, issues: inOrder(all) };
}

/** As they stand in the file; what is said of all of it comes first. */
function inOrder(issues: readonly ImportIssue[]): ImportIssue[] {
  const placeOf = ({ at }: ImportIssue) => Number(/\d+/.exec(at)?.[0] ?? 0);
  return issues.toSorted((a, b) => placeOf(a) - placeOf(b));
}

function told(issues: readonly ImportIssue[]): string[] {
  const shown = issues.slice(0, SHOWN_MAX).map(({ at, message }) => `${at}: ${message}`);
  return issues.length > SHOWN_MAX ? [...shown, `and ${issues.length - SHOWN_MAX} more (--json has all)`] : shown;
}

function rendered({ id, name, description, price, currency, imageUrl }: Product, format: "csv" | "jsonl"): string {
  const facts = { id, name, description, price, currency, ...(imageUrl !== null && { imageUrl }) };
  return format === "csv"
    ? csvRows([[id, name, description, price, currency, imageUrl]])
    : `${JSON.stringify(facts)}\n`;
}

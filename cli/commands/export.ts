// `onrush orders export`: orders as CSV or JSON lines, streamed, however many there are.

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import { uuidSchema } from "../../engine/catalogue/input.ts";
import { BYTE_ORDER_MARK } from "../../engine/csv.ts";
import { FULFILMENT_FILTERS, type FulfilmentFilter } from "../../engine/fulfilment.ts";
import { orderCsv, orderCsvHeading } from "../../engine/ledger/order-csv.ts";
import { countOrders, exportOrders, type OrderFilter, type OrderSummary } from "../../engine/ledger/order-search.ts";
import { ORDER_STATUSES, type OrderStatus } from "../../engine/order-state.ts";
import { addCommand, oneOf, wrongValue } from "../command.ts";
import { CommandError } from "../failure.ts";
import { NO_PROGRESS, startProgress } from "../progress.ts";
import { withDatabase } from "../servers.ts";

interface ExportOptions {
  readonly sale?: string;
  readonly status?: OrderStatus;
  readonly since?: Date;
  readonly until?: Date;
  readonly product?: string;
  readonly query?: string;
  readonly fulfilment?: FulfilmentFilter;
  readonly format?: Format;
  readonly out?: string;
  readonly excel?: boolean;
}

type Format = "csv" | "jsonl" | "json";

export function exportCommand(orders: Command): void {
  addCommand<ExportOptions>(orders, {
    usage: "export",
    summary: "orders as CSV or JSON lines, as of one instant",
    details:
      "In the order they were made. Texts that a spreadsheet would take for a formula get an apostrophe. --json is one " +
      "JSON array, or, with --out, says what was written. Instants are UTC.",
    examples: [
      "onrush orders export --sale summer --out orders.csv --excel",
      "onrush orders export --status CONFIRMED --fulfilment none --out to-pack.csv",
      "onrush orders export --status CONFIRMED \\\n    --since 2026-11-01T00:00:00+09:00 --format jsonl | gzip > orders.gz",
    ],
    options: [
      { flags: "--sale <id>", help: "only this sale" },
      { flags: "--status <status>", help: "only in this status", parse: oneOf(...ORDER_STATUSES) },
      { flags: "--since <instant>", help: "placed at or after it", parse: readInstant },
      { flags: "--until <instant>", help: "placed before it", parse: readInstant },
      { flags: "--product <id>", help: "only with this product", parse: readProductId },
      { flags: "--query <text>", help: "only of this customer, or whose id begins so" },
      {
        flags: "--fulfilment <state>",
        help: `only that are ${FULFILMENT_FILTERS.join(", ")}`,
        parse: oneOf(...FULFILMENT_FILTERS),
      },
      { flags: "--format <format>", help: "csv (default) or jsonl", parse: oneOf("csv", "jsonl") },
      { flags: "--out <file>", help: "write to this new file instead of stdout" },
      { flags: "--excel", help: "start CSV with the mark by which Excel knows UTF-8" },
    ],
    run: ({ options, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const filter: OrderFilter = {
          saleId: options.sale,
          status: options.status,
          since: options.since,
          until: options.until,
          productId: options.product,
          query: options.query,
          fulfilment: options.fulfilment,
        };
        const toStdout = options.out === undefined;
        const format: Format = toStdout && "json" in options ? "json" : (options.format ?? "csv");
        const sink = toStdout ? { write: terminal.write, end: async () => undefined } : await openFile(options.out);
        const total = await countOrders(pool, filter);
        // Rows on the same screen are progress enough.
        const isOnScreen = toStdout && terminal.columns !== undefined;
        const progress = isOnScreen ? NO_PROGRESS : startProgress("Exporting");
        let orders = 0;
        try {
          await sink.write(opening(format, options.excel === true));
          for await (const rows of exportOrders(pool, filter)) {
            await sink.write(render(rows, format, orders === 0));
            orders += rows.length;
            progress.at(orders, Math.max(total, orders));
          }
          if (format === "json") await sink.write("]\n");
          await sink.end();
        } finally {
          progress.end();
        }
        if (!toStdout) await answer({ orders, file: options.out }, () => `${orders} orders written to ${options.out}.`);
      }),
  });
}

function opening(format: Format, forExcel: boolean): string {
  if (format === "json") return "[";
  return format === "csv" ? `${forExcel ? BYTE_ORDER_MARK : ""}${orderCsvHeading()}` : "";
}

function render(orders: readonly OrderSummary[], format: Format, isFirst: boolean): string {
  if (format === "csv") return orderCsv(orders);
  if (format === "jsonl") return orders.map((order) => `${JSON.stringify(order)}\n`).join("");
  return `${isFirst ? "" : ","}${orders.map((order) => JSON.stringify(order)).join(",")}`;
}

async function openFile(file = "") {
  // Buyers' data: for the owner of the file alone.
  const stream = createWriteStream(file, { flags: "wx", mode: 0o600 });
  await once(stream, "open").catch((error: Error) => {
    throw new CommandError(`Cannot write ${file}: ${error.message}`);
  });
  return {
    async write(text: string): Promise<void> {
      if (!stream.write(text)) await once(stream, "drain");
    },
    async end(): Promise<void> {
      stream.end();
      await finished(stream);
    },
  };
}

function readProductId(value: string): string {
  const id = uuidSchema().safeParse(value);
  if (!id.success) throw wrongValue("must be a product's id.");
  return id.data;
}

function readInstant(value: string): Date {
  const at = new Date(value);
  if (!/^\d{4}-\d\d-\d\d(T.+(Z|[+-]\d\d:\d\d))?$/.test(value) || Number.isNaN(at.getTime())) {
    throw wrongValue("must be a day, or an instant with its offset, such as 2026-11-27T10:00:00+09:00.");
  }
  return at;
}

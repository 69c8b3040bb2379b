// `onrush orders export`: orders as CSV or JSON lines, streamed, however many there are.

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import { countOrders, exportOrders, type OrderFilter, type OrderSummary } from "../../engine/ledger/order-search.ts";
import { ORDER_STATUSES, type OrderStatus } from "../../engine/order-state.ts";
import { addCommand, oneOf, wrongValue } from "../command.ts";
import { csvRow } from "../csv.ts";
import { CommandError } from "../failure.ts";
import { NO_PROGRESS, startProgress } from "../progress.ts";
import { withDatabase } from "../servers.ts";

interface ExportOptions {
  readonly sale?: string;
  readonly status?: OrderStatus;
  readonly since?: Date;
  readonly until?: Date;
  readonly format?: Format;
  readonly out?: string;
  readonly excel?: boolean;
}

type Format = "csv" | "jsonl" | "json";

const BYTE_ORDER_MARK = "\ufeff";
const HEADINGS = [
  ...["id", "saleId", "customerId", "status", "reason", "price", "payable", "refundedAmount", "currency"],
  ...["paymentMethod", "placedAt", "updatedAt", "units", "items"],
];

export function exportCommand(orders: Command): void {
  addCommand<ExportOptions>(orders, {
    usage: "export",
    summary: "orders as CSV or JSON lines, as of one instant",
    details:
      "In the order they were made. Texts that a spreadsheet would take for a formula get an apostrophe. --json is one " +
      "JSON array, or, with --out, says what was written. Instants are UTC.",
    examples: [
      "onrush orders export --sale summer --out orders.csv --excel",
      "onrush orders export --status CONFIRMED \\\n    --since 2026-11-01T00:00:00+09:00 --format jsonl | gzip > orders.gz",
    ],
    options: [
      { flags: "--sale <id>", help: "only this sale" },
      { flags: "--status <status>", help: "only in this status", parse: oneOf(...ORDER_STATUSES) },
      { flags: "--since <instant>", help: "placed at or after it", parse: readInstant },
      { flags: "--until <instant>", help: "placed before it", parse: readInstant },
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
            await sink.write(rows.map((row, i) => render(row, format, orders + i === 0)).join(""));
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
  return format === "csv" ? `${forExcel ? BYTE_ORDER_MARK : ""}${csvRow(HEADINGS)}` : "";
}

function render(order: OrderSummary, format: Format, isFirst: boolean): string {
  if (format === "json") return `${isFirst ? "" : ","}${JSON.stringify(order)}`;
  if (format === "jsonl") return `${JSON.stringify(order)}\n`;
  const { items, placedAt, updatedAt, ...rest } = order;
  return csvRow([
    ...[rest.id, rest.saleId, rest.customerId, rest.status, rest.reason, rest.price, rest.payable, rest.refundedAmount],
    ...[rest.currency, rest.paymentMethod, placedAt.toISOString(), updatedAt.toISOString()],
    items.reduce((sum, { quantity }) => sum + quantity, 0),
    items.map(({ name, quantity }) => `${name} x${quantity}`).join("; "),
  ]);
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

function readInstant(value: string): Date {
  const at = new Date(value);
  if (!/^\d{4}-\d\d-\d\d(T.+(Z|[+-]\d\d:\d\d))?$/.test(value) || Number.isNaN(at.getTime())) {
    throw wrongValue("must be a day, or an instant with its offset, such as 2026-11-27T10:00:00+09:00.");
  }
  return at;
}

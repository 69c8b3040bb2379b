// `onrush sale import`: sales, their items and missing products from a file.
import path from "node:path";
import type { Command } from "commander";
import { createProductBy } from "../../engine/catalogue/product-operations.ts";
import { createSaleBy, editSaleBy } from "../../engine/catalogue/sale-operations.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { addCommand } from "../command.ts";
import { CommandError, UsageError } from "../failure.ts";
import { putInForce } from "../force.ts";
import { readText } from "../import/content.ts";
import { type Entries, readCsv, readJson } from "../import/entries.ts";
import { type ImportPlan, type PlannedSale, planImport } from "../import/plan.ts";
import { startProgress } from "../progress.ts";
import { reservationTtlMs } from "../reservation.ts";
import { type Servers, withServers } from "../servers.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface ImportOptions {
  readonly dryRun?: boolean;
  readonly reason?: string;
}

/** Findings that a screen shows; --json has all of them. */
const SHOWN_MAX = 20;

export function importCommand(sale: Command): void {
  addCommand<ImportOptions>(sale, {
    usage: "import <file>",
    summary: "makes and changes sales from a CSV or JSON file",
    details:
      "All of the file is checked before anything is written, and what is wrong is told by line. CSV has one row an item, " +
      "under a heading: sale, name, opensAt, closesAt, reservationTtlSeconds, partitions, onDecline, membersOnly, " +
      "stockVisibility, productId, stock, price, perCustomerLimit, and, to make products that are missing, productName, " +
      "productPrice, currency. Empty cells say nothing. JSON is a list of sales as POST /sales takes them, each with its id. " +
      "Sales that are there are changed; the stock of items that are there stays, so that an import can be repeated.",
    examples: ["onrush sale import friday.csv --dry-run", "onrush sale import friday.json --yes"],
    options: [
      { flags: "--dry-run", help: "only check, and say what would be done" },
      { flags: "--reason <text>", help: "why, for the audit trail" },
    ],
    changes: ({ dryRun }) => !dryRun,
    run: async ({ args: [file = ""], options, answer, confirm, terminal }) => {
      const entries = await readEntries(file);
      await withServers(async (servers) => {
        const plan = await planImport(servers.pool, entries);
        const isWrong = plan.issues.length > 0;
        const due = plan.sales.filter(({ action }) => action !== "nothing");
        const apply = !isWrong && !options.dryRun && due.length > 0;
        if (apply) {
          terminal.note(screen(plan, terminal));
          await confirm(`Import ${due.length} sale(s)?`);
          await carryOut(servers, due, options.reason, terminal);
        }
        const sales = plan.sales.map(({ id, action, items, products }) => ({
          id,
          action,
          items,
          products: products.length,
        }));
        await answer({ applied: apply, sales, issues: plan.issues }, () => {
          if (isWrong) return `${issueScreen(plan)}\nNothing was changed.`;
          if (apply) return `${due.length} sale(s) imported.`;
          const said = due.length === 0 ? "Everything is there already." : "Nothing was changed: this was a dry run.";
          return `${screen(plan, terminal)}\n${said}`;
        });
        if (isWrong) process.exitCode = 1;
      });
    },
  });
}

async function readEntries(file: string): Promise<Entries> {
  const extension = path.extname(file).toLowerCase();
  if (extension !== ".csv" && extension !== ".json") throw new UsageError("The file must end in .csv or .json.");
  const text = await readText(file);
  return extension === ".csv" ? readCsv(text) : readJson(text);
}

async function carryOut(
  servers: Servers,
  due: readonly PlannedSale[],
  reason: string | undefined,
  terminal: Terminal,
): Promise<void> {
  const operator = { actor: servers.actor, reason };
  const progress = startProgress("Importing");
  const defaults = { now: new Date(await redisNowMs(servers.redis)), reservationTtlMs: reservationTtlMs() };
  let done = 0;
  try {
    for (const { id, products, create, edit } of due) {
      progress.at(done, due.length);
      for (const { id: productId, ...input } of products) {
        await createProductBy(servers.pool, productId, input, operator);
      }
      if (create) await createSaleBy(servers.pool, create, defaults, operator);
      if (edit && Object.keys(edit).length > 0) await editSaleBy(servers.pool, id, edit, operator);
      await putInForce(servers, id, terminal);
      done += 1;
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      `${done} of ${due.length} sales were imported; run it again for the others. ${why}`,
      "INCOMPLETE",
    );
  } finally {
    progress.end();
  }
}

function screen({ sales }: ImportPlan, { columns }: Terminal): string {
  const cells = sales.map(({ id, action, items, products }) => [id, action, items, products.length]);
  return table(["sale", "to do", "items", "new products"], cells, { columns, whole: ["sale"] });
}

function issueScreen({ issues }: ImportPlan): string {
  const shown = issues.slice(0, SHOWN_MAX).map(({ at, message }) => `${at}: ${message}`);
  if (issues.length > SHOWN_MAX) shown.push(`and ${issues.length - SHOWN_MAX} more (--json has all)`);
  return shown.join("\n");
}

// `onrush stock show`: what there is, by Redis and by the ledger.
import type { Command } from "commander";
import { listSales, type Sale } from "../../engine/catalogue/sales.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import type { SkuStock } from "../../engine/stock/partition-stock.ts";
import { addCommand } from "../command.ts";
import { CommandError } from "../failure.ts";
import { type Servers, withServers } from "../servers.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

/** Sales that the option `--sale` chooses: that one, or all. @throws CommandError when there is none */
export async function chosenSales({ pool }: Pick<Servers, "pool">, id: string | undefined): Promise<Sale[]> {
  const sales = (await listSales(pool)).filter((sale) => id === undefined || sale.id === id);
  if (sales.length > 0) return sales;
  throw new CommandError(id === undefined ? "There are no sales." : `There is no sale ${id}.`, "NOT_FOUND");
}

interface StockLine {
  readonly saleId: string;
  readonly partition: number;
  readonly state: string;
  readonly productId: string;
  readonly name: string;
  /** `null`: Redis does not have it. */
  readonly redis: SkuStock | null;
  readonly ledger: { readonly allocated: number; readonly reserved: number; readonly sold: number };
}

export function stockCommands(stock: Command): void {
  addCommand<{ sale?: string }>(stock, {
    usage: "show",
    summary: "stock by Redis beside the ledger; exit code 1 when they differ in what is allocated",
    details:
      "What is on its way through the log makes single figures differ for a moment; the sum never does. Units that " +
      "a rebuild holds back for lost orders count as a difference until they are back on sale.",
    examples: ["onrush stock show", "onrush stock show --sale catalog --json"],
    options: [{ flags: "--sale <id>", help: "only this sale" }],
    run: ({ options, answer, terminal }) =>
      withServers(async (servers) => {
        const lines = await readLines(servers, await chosenSales(servers, options.sale));
        await answer(lines, () => screen(lines, terminal));
        if (lines.some(differs)) process.exitCode = 1;
      }),
  });
}

async function readLines(servers: Servers, sales: readonly Sale[]): Promise<StockLine[]> {
  const lines: StockLine[] = [];
  for (const sale of sales) {
    const names = new Map(sale.items.map((item) => [item.productId, item.name]));
    const ledger = await listStock(servers.pool, sale.id);
    for (const { partition, state } of sale.partitionEpochs) {
      const snapshot = await servers.stock.snapshot({ saleId: sale.id, partition });
      for (const row of ledger.filter((of) => of.partition === partition)) {
        const redis = snapshot.type === "OK" ? snapshot.stock.get(row.productId) : undefined;
        lines.push({
          saleId: sale.id,
          partition,
          state,
          productId: row.productId,
          name: names.get(row.productId) ?? "",
          redis: redis ?? null,
          ledger: { allocated: row.allocated, reserved: row.reserved, sold: row.sold },
        });
      }
    }
  }
  return lines;
}

function differs({ redis, ledger }: StockLine): boolean {
  return redis === null || redis.available + redis.reserved + redis.sold !== ledger.allocated;
}

function screen(lines: readonly StockLine[], { colors, columns }: Terminal): string {
  if (lines.length === 0) return "Nothing was ever allocated.";
  const headings = ["product", "available", "reserved", "sold", "pg reserved", "pg sold", "allocated"];
  const parts = Map.groupBy(lines, ({ saleId, partition }) => `${saleId}.${partition}`);
  return [...parts]
    .map(([name, of]) => {
      const state = of[0]?.state ?? "";
      const cells = of.map((line) => {
        const { redis, ledger } = line;
        const title = line.name || line.productId;
        return [
          differs(line) ? colors.red(title) : title,
          redis?.available ?? "lost",
          redis?.reserved ?? "lost",
          redis?.sold ?? "lost",
          ledger.reserved,
          ledger.sold,
          ledger.allocated,
        ];
      });
      const shownState = state === "live" ? colors.green(state) : colors.yellow(state);
      return `${colors.bold(name)}  ${shownState}\n${table(headings, cells, { columns })}`;
    })
    .join("\n\n");
}

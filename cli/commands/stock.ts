// `onrush stock`: what there is, by Redis and by the ledger, and the rebuild of what Redis lost.
import { Command } from "commander";
import { listSales, type Sale } from "../../engine/catalogue/sales.ts";
import { CHANNELS } from "../../engine/keys.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { planRebuild, type RebuildReport, rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { CommandError, type Servers, withServers } from "../servers.ts";
import { table } from "../table.ts";

interface SaleOptions {
  readonly sale?: string;
  readonly json?: boolean;
}

export function stockCommand(): Command {
  const stock = new Command("stock").description("what there is to sell, and what to do when Redis lost it");
  stock
    .command("show")
    .description("stock by Redis beside the ledger; exit code 1 when they differ in what is allocated")
    .option("--sale <id>", "only this sale")
    .option("--json", "for programs")
    .addHelpText("after", "\nExamples:\n  onrush stock show\n  onrush stock show --sale catalog --json")
    .action((options: SaleOptions) => withServers((servers) => show(servers, options)));
  stock
    .command("rebuild")
    .description("rebuild Redis from Postgres at a new epoch; a plan unless --apply is given")
    .option("--sale <id>", "only this sale")
    .option("--apply", "do it; the sales are closed while it runs and open again after it")
    .option("--json", "for programs")
    .addHelpText(
      "after",
      "\nFor a Redis that was wiped, restored from a backup, or failed over to a lagging replica (answers are 503\n" +
        "STOCK_UNAVAILABLE then). Orders that were acknowledged and are lost are named, and their units held back.\n" +
        "\nExamples:\n  onrush stock rebuild\n  onrush stock rebuild --sale catalog --apply",
    )
    .action((options: SaleOptions & { apply?: boolean }) => withServers((servers) => rebuild(servers, options)));
  return stock;
}

async function chosen({ pool }: Servers, id: string | undefined): Promise<Sale[]> {
  const sales = (await listSales(pool)).filter((sale) => id === undefined || sale.id === id);
  if (sales.length === 0) throw new CommandError(id === undefined ? "There are no sales." : `There is no sale ${id}.`);
  return sales;
}

async function show(servers: Servers, options: SaleOptions): Promise<void> {
  const redisStock = new PartitionStock(servers.redis, new KnownPositions());
  const rows = [];
  for (const sale of await chosen(servers, options.sale)) {
    const names = new Map(sale.items.map((item) => [item.productId, item.name]));
    const ledger = await listStock(servers.pool, sale.id);
    for (const { partition, state } of sale.partitionEpochs) {
      const snapshot = await redisStock.snapshot({ saleId: sale.id, partition });
      for (const row of ledger.filter((of) => of.partition === partition)) {
        const redis = snapshot.type === "OK" ? snapshot.stock.get(row.productId) : undefined;
        rows.push({
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
  if (options.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else {
    const cells = rows.map(({ saleId, partition, state, name, productId, redis, ledger }) => [
      `${saleId}.${partition}`,
      state,
      name || productId,
      redis?.available ?? "lost",
      redis?.reserved ?? "lost",
      redis?.sold ?? "lost",
      ledger.reserved,
      ledger.sold,
      ledger.allocated,
    ]);
    const headings = [
      "sale",
      "state",
      "product",
      "available",
      "reserved",
      "sold",
      "reserved (pg)",
      "sold (pg)",
      "allocated",
    ];
    process.stdout.write(`${table(headings, cells)}\n`);
  }
  // What is on its way through the log makes the single figures differ; the sum never does.
  const differs = rows.some(({ redis, ledger }) => {
    return redis === null || redis.available + redis.reserved + redis.sold !== ledger.allocated;
  });
  if (differs) process.exitCode = 1;
}

async function rebuild(servers: Servers, options: SaleOptions & { apply?: boolean }): Promise<void> {
  const reports: RebuildReport[] = [];
  for (const sale of await chosen(servers, options.sale)) {
    for (const { partition } of sale.partitionEpochs) {
      const at = { saleId: sale.id, partition };
      reports.push(options.apply ? await rebuildPartition(servers, at, "cli") : await planRebuild(servers, at));
    }
  }
  if (options.apply) await servers.redis.publish(CHANNELS.catalogue, "rebuilt");
  if (options.json) {
    const plain = reports.map((report) => ({ ...report, heldBack: Object.fromEntries(report.heldBack) }));
    process.stdout.write(`${JSON.stringify(plain)}\n`);
    return;
  }
  const cells = reports.map((report) => [
    `${report.saleId}.${report.partition}`,
    `${report.from.epoch}-${report.from.seq}`,
    report.survivors,
    report.lost ? `${report.lost.fromSeq} to ${report.lost.toSeq}` : "none",
    sum(report.heldBack.values()),
    report.holds,
    sum(report.stock.map((row) => row.available)),
    report.epoch === undefined ? "" : String(report.epoch),
  ]);
  const headings = ["sale", "log until", "survivors", "lost", "held back", "holds", "available", "new epoch"];
  process.stdout.write(`${table(headings, cells)}\n`);
  const done = options.apply ? "Rebuilt; the sales are open again." : "Nothing was changed. --apply rebuilds.";
  process.stdout.write(`${done}\n`);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

// `onrush stock rebuild`: Redis from Postgres, after Redis lost data or went back in time.
import type { Command } from "commander";
import { CHANNELS } from "../../engine/keys.ts";
import { planRebuild, RebuildError, type RebuildReport, rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { addCommand } from "../command.ts";
import { CommandError } from "../failure.ts";
import { startProgress } from "../progress.ts";
import { withServers } from "../servers.ts";
import { table } from "../table.ts";
import { chosenSales } from "./stock.ts";

interface RebuildOptions {
  readonly sale?: string;
  readonly apply?: boolean;
}

export function rebuildCommand(stock: Command): void {
  addCommand<RebuildOptions>(stock, {
    usage: "rebuild",
    summary: "rebuild Redis from Postgres at a new epoch; a plan unless --apply is given",
    details:
      "For a Redis that was wiped, restored from a backup, or failed over to a lagging replica (answers are 503 " +
      "STOCK_UNAVAILABLE then). Orders that were acknowledged and are lost are named, and their units held back.",
    examples: ["onrush stock rebuild", "onrush stock rebuild --sale catalog --apply"],
    options: [
      { flags: "--sale <id>", help: "only this sale" },
      { flags: "--apply", help: "do it; the sales are closed while it runs and open again after it" },
    ],
    run: ({ options, answer, terminal }) =>
      withServers(async (servers) => {
        const partitions = (await chosenSales(servers, options.sale)).flatMap((sale) =>
          sale.partitionEpochs.map(({ partition }) => ({ saleId: sale.id, partition })),
        );
        const progress = startProgress(options.apply ? "Rebuilding" : "Planning");
        const reports: RebuildReport[] = [];
        try {
          for (const at of partitions) {
            progress.at(reports.length, partitions.length);
            reports.push(
              options.apply ? await rebuildPartition(servers, at, servers.actor) : await planRebuild(servers, at),
            );
          }
        } catch (error) {
          throw error instanceof RebuildError ? new CommandError(error.message) : error;
        } finally {
          progress.end();
        }
        if (options.apply) await servers.redis.publish(CHANNELS.catalogue, "rebuilt");
        const plain = reports.map((report) => ({ ...report, heldBack: Object.fromEntries(report.heldBack) }));
        await answer(plain, () => {
          const headings = ["sale", "log until", "survivors", "lost", "held back", "holds", "available", "epoch"];
          const done = options.apply ? "Rebuilt; the sales are open again." : "Nothing was changed. --apply rebuilds.";
          return `${table(headings, reports.map(cells), { columns: terminal.columns })}\n${done}`;
        });
      }),
  });
}

function cells(report: RebuildReport): (string | number)[] {
  return [
    `${report.saleId}.${report.partition}`,
    `${report.from.epoch}-${report.from.seq}`,
    report.survivors,
    report.lost ? `${report.lost.fromSeq}-${report.lost.toSeq}` : "none",
    sum(report.heldBack.values()),
    report.holds,
    sum(report.stock.map((row) => row.available)),
    report.epoch === undefined ? "" : String(report.epoch),
  ];
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

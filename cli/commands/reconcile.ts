// `onrush stock reconcile`: where Redis and the ledger differ, and bringing Redis back to what the ledger says.
import type { Command } from "commander";
import { describeDrift, subjectOf } from "../../engine/reconciliation/drift.ts";
import { planOf, type ReconcileReport, reconcilePartition } from "../../engine/reconciliation/reconcile.ts";
import { addCommand } from "../command.ts";
import { startProgress } from "../progress.ts";
import { withServers } from "../servers.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { chosenSales } from "./stock.ts";

interface ReconcileOptions {
  readonly sale?: string;
  readonly apply?: boolean;
}

/** How long a comparison waits for Postgres to have what Redis has. */
const WAIT_MS = 15_000;

export function reconcileCommand(stock: Command): void {
  addCommand<ReconcileOptions>(stock, {
    usage: "reconcile",
    summary: "compare Redis with the ledger at one number of the log; a plan unless --apply is given",
    details:
      "Orders may go on meanwhile: what is in flight is no drift. --apply puts back what was taken from the ledger, and " +
      "moves Redis to what the ledger says by a numbered movement with an audit record. Where it cannot be certain " +
      "(Postgres is behind, a partition is suspended, a rebuild is running) it says why and changes nothing. The exit " +
      "code is 1 when something differs, or could not be compared, at the end.",
    examples: ["onrush stock reconcile", "onrush stock reconcile --sale catalog --apply"],
    options: [
      { flags: "--sale <id>", help: "only this sale" },
      { flags: "--apply", help: "mend what differs" },
    ],
    run: ({ options, answer, terminal }) =>
      withServers(async (servers) => {
        const partitions = (await chosenSales(servers, options.sale)).flatMap((sale) =>
          sale.partitionEpochs
            .filter(({ state }) => state !== "new")
            .map(({ partition }) => ({ saleId: sale.id, partition })),
        );
        const how = { apply: options.apply === true, actor: servers.actor, patience: { waitMs: WAIT_MS } };
        const progress = startProgress("Comparing");
        const reports: ReconcileReport[] = [];
        try {
          for (const at of partitions) {
            progress.at(reports.length, partitions.length);
            reports.push(await reconcilePartition(servers, at, how));
          }
        } finally {
          progress.end();
        }
        await answer(reports.map(plainReport), () => screen(reports, how.apply, terminal));
        if (reports.some(({ verdict }) => verdict.type !== "CLEAN")) process.exitCode = 1;
      }),
  });
}

function plainReport({ saleId, partition, found, repairs, verdict }: ReconcileReport) {
  const drifts = found.type === "CLEAN" ? [] : found.drifts;
  return {
    saleId,
    partition,
    found: {
      verdict: found.type,
      ...(found.type === "UNCERTAIN" ? { reason: found.reason } : found.position),
      drifts: drifts.map((drift) => ({
        ...drift,
        subject: subjectOf(drift),
        detail: describeDrift(drift),
        plan: planOf(drift),
      })),
    },
    repairs: repairs.map(({ drift, done, how }) => ({ kind: drift.kind, subject: subjectOf(drift), done, how })),
    verdict: verdict.type,
    ...(verdict.type === "UNCERTAIN" && { reason: verdict.reason }),
    left: verdict.type === "DRIFT" ? verdict.drifts.length : 0,
  };
}

function screen(reports: readonly ReconcileReport[], applied: boolean, { colors, columns }: Terminal): string {
  const parts = reports.map((report) => {
    const { saleId, partition, found, repairs, verdict } = report;
    const name = colors.bold(`${saleId}.${partition}`);
    if (found.type === "UNCERTAIN") return `${name}  ${colors.yellow("uncertain")}  ${found.reason}`;
    const position = `at ${found.position.epoch}-${found.position.seq}`;
    if (found.type === "CLEAN") return `${name}  ${colors.green("clean")}  ${position}`;
    const rows = applied
      ? repairs.map(({ drift, done, how }) => [
          drift.kind,
          subjectOf(drift),
          done ? how : colors.red(`not mended: ${how}`),
        ])
      : found.drifts.map((drift) => [drift.kind, subjectOf(drift), `${describeDrift(drift)}: ${planOf(drift)}`]);
    const headings = ["drift", "about", applied ? "what was done" : "what would be done"];
    const after = verdict.type === "CLEAN" ? colors.green("clean now") : colors.red(verdict.type.toLowerCase());
    return `${name}  ${colors.red("drift")}  ${position}\n${table(headings, rows, { columns })}${applied ? `\n${after}` : ""}`;
  });
  const drifting = reports.some(({ found }) => found.type === "DRIFT");
  if (drifting && !applied) parts.push("Nothing was changed. --apply mends it.");
  return parts.join("\n");
}

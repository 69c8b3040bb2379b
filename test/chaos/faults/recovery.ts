// What must happen once Redis answers without all that it had acknowledged, whatever made it so: it is noticed before
// anything is sold, nothing moves until the operator's rebuild, and then buying goes on with both books in agreement.
import { partitionKeys } from "../../../engine/keys.ts";
import { readStockAtOneNumber } from "../books.ts";
import type { Allowances, Violation } from "../checker/books.ts";
import { agreeing } from "../checker/stock.ts";
import { type History, placementsOf } from "../history.ts";
import { type Rebuilt, rebuild } from "../operator.ts";
import { type Stage, type Strike, unmet, until, untilMoreAccepted } from "./fault.ts";

const NOTICED_WITHIN_MS = 20_000;
const REFUSED_AT_LEAST = 10;
const SOLD_AFTER = 10;
const SELLS_WITHIN_MS = 20_000;
const AGREES_WITHIN_MS = 20_000;

export const keysOf = ({ sale }: Stage) => partitionKeys({ saleId: sale.id, partition: 0 });

export interface Recovered extends Strike {
  readonly lost: number;
  readonly lostOrders: readonly { readonly orderId: string; readonly atMs: number }[];
}

/**
 * @param sinceMs by the history's clock: whoever asked after it met the Redis of the past, or none
 * @param foundSeq the number that the log ended at then; default: at which it ends now
 */
export async function recover(stage: Stage, sinceMs: number, foundSeq?: number): Promise<Recovered> {
  const { system, sale, history } = stage;
  const broken: Violation[] = [];
  await until(() => system.redis.status === "ready", NOTICED_WITHIN_MS);
  const found = foundSeq ?? (await numberIn(stage));
  if (!(await until(async () => (await stateOf(stage)) === "suspended", NOTICED_WITHIN_MS))) {
    broken.push(unmet("the loss is noticed", `the partition is ${await stateOf(stage)}`, 1));
  }
  await until(() => answersSince(history, sinceMs).refused >= REFUSED_AT_LEAST, SELLS_WITHIN_MS);
  const { refused, wrong } = answersSince(history, sinceMs);
  broken.push(
    ...wrong.slice(0, 3).map((answer) => unmet("nothing but 503 STOCK_UNAVAILABLE until it is rebuilt", answer, 2)),
  );
  const then = await numberIn(stage);
  if (then !== found) broken.push(unmet("nothing moves on what is lost", `the log went from ${found} to ${then}`, 4));

  const reports = await rebuild(system);
  const healedAtMs = history.now;
  const report = reports.find(({ saleId }) => saleId === sale.id);
  if (!report) throw new Error("the rebuild does not report the sale");
  if (!(await untilMoreAccepted(stage, SOLD_AFTER, SELLS_WITHIN_MS))) {
    broken.push(unmet("the rebuild restores selling", "nothing was sold after it", 1));
  }
  broken.push(...(await disagreement(stage)));
  const gone = lostOrders(history, report);
  const lost = gone.length;
  const held = Object.values(report.heldBack).reduce((sum, units) => sum + units, 0);
  return {
    fired: refused,
    evidence: `${refused} answered STOCK_UNAVAILABLE; ${report.survivors} movements survived, ${lost} acknowledged orders lost, ${held} units held back`,
    healedAtMs,
    allowances: { mayLose: true, ...shortOf(report) },
    broken,
    lost,
    lostOrders: gone,
  };
}

/** Acknowledged orders that the rebuild declared lost, with the moment of their acknowledgement. */
function lostOrders(history: History, { lost, epoch }: Rebuilt): { orderId: string; atMs: number }[] {
  if (!lost) return [];
  return placementsOf(history.events).flatMap(({ positions, acknowledgedAt }) =>
    [...positions].flatMap(([orderId, at]) =>
      at.epoch === epoch - 1 && at.seq >= lost.fromSeq && at.seq <= lost.toSeq
        ? [{ orderId, atMs: acknowledgedAt.get(orderId) ?? 0 }]
        : [],
    ),
  );
}

function shortOf({ stock }: Rebuilt): Pick<Allowances, "heldBackShort"> {
  return { heldBackShort: new Set(stock.flatMap(({ productId, available }) => (available === 0 ? [productId] : []))) };
}

/** Compares the books in the middle of the run, while units are still held back: for a moment nobody is let in. */
async function disagreement({ system, sale }: Stage): Promise<readonly Violation[]> {
  const api = system.process("api");
  api.freeze();
  try {
    let books: Awaited<ReturnType<typeof readStockAtOneNumber>>;
    await until(async () => {
      books = await readStockAtOneNumber(system, sale.id);
      return books !== undefined;
    }, AGREES_WITHIN_MS);
    return books
      ? agreeing(books, {})
      : [unmet("Postgres follows the rebuilt log", "it never stood where Redis stood", 1)];
  } finally {
    api.thaw();
  }
}

/** The highest number in the partition's log; 0: Redis does not have the partition. */
async function numberIn(stage: Stage): Promise<number> {
  return Number(await stage.system.redis.hget(keysOf(stage).meta, "seq"));
}

async function stateOf({ system, sale }: Stage): Promise<string | undefined> {
  const sql = "SELECT state FROM sale_partitions WHERE sale_id = $1 AND partition = 0";
  return (await system.pool.query<{ state: string }>(sql, [sale.id])).rows[0]?.state;
}

/** Answers to placements that were asked for after a moment: how many were refused for now, and what else was said. */
function answersSince(history: History, sinceMs: number): { refused: number; wrong: string[] } {
  const asked = new Set<string>();
  const wrong: string[] = [];
  let refused = 0;
  for (const event of history.events) {
    const attempt = `${event.op}/${event.attempt}`;
    if (event.type === "invoke") {
      if (event.operation === "place" && event.at > sinceMs) asked.add(attempt);
    } else if (asked.has(attempt)) {
      if (event.type === "fail" && event.code === "STOCK_UNAVAILABLE") refused += 1;
      else if (event.type === "info" && event.status === undefined)
        continue; // the API itself was away
      else if (event.type !== "fail" || event.code !== "SOLD_OUT") wrong.push(JSON.stringify(event));
    }
  }
  return { refused, wrong };
}

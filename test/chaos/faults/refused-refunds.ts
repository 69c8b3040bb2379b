// A payment provider that refuses to give money back, until it does not any more.
import { readFileSync } from "node:fs";
import path from "node:path";
import { HttpClient } from "../../../demo/http.ts";
import { seededUuid } from "../../../demo/random.ts";
import { insist } from "../asking.ts";
import type { Violation } from "../checker/books.ts";
import { onrush } from "../operator.ts";
import { asAdministrator } from "../shop.ts";
import type { System } from "../system.ts";
import { type Fault, type Stage, unmet, until, untilMoreAccepted } from "./fault.ts";

/** Every third of a part, the others whole. */
const REFUNDS = 15;
const CONFIRMED_WITHIN_MS = 20_000;
/** Its tries take some four seconds. */
const FAILED_WITHIN_MS = 40_000;
const GIVEN_BACK_WITHIN_MS = 30_000;
const ALARM = '"alarm":"refund_failed"';

export const refundsRefused: Fault = {
  name: "refunds-refused",
  title: "the provider refuses refunds: dead letters, an alarm, REFUND_PENDING; a replay gives the money back",
  async strike(stage) {
    const { system, history } = stage;
    const broken: Violation[] = [];
    const demand = (holds: boolean, detail: string) => {
      if (!holds) broken.push(unmet("a refused refund is told and kept", detail, 5));
    };
    const alarmsBefore = alarmsOf(system);
    await setRefundMode(system, "refuse");
    let failed = 0;
    let healedAtMs: number;
    try {
      const asked = await askForRefunds(stage);
      demand(asked === REFUNDS, `${asked} of ${REFUNDS} refunds were opened`);
      await until(async () => (await countRefunds(stage, "failed")) >= asked, FAILED_WITHIN_MS);
      failed = await countRefunds(stage, "failed");
      const letters = await countLetters(stage);
      demand(letters === failed, `${failed} refunds failed, ${letters} dead letters are open`);
      const alarms = alarmsOf(system) - alarmsBefore;
      demand(alarms === failed, `${failed} refunds failed, the alarm was raised ${alarms} times`);
      const shown = await failedByMetrics(system);
      demand(shown === failed, `${failed} refunds failed, the metric says ${shown}`);
      const moved = await ordersNotWaiting(stage);
      demand(moved.length === 0, `${moved.join(", ")}`);
    } finally {
      healedAtMs = history.now;
      await setRefundMode(system, "accept");
    }
    const replay = await onrush(system, "dead", "replay", "--all", "--sale", stage.sale.id, "--yes", "--json").ended;
    demand(replay.code === 0, `dead replay ended with ${replay.code}: ${replay.said}`);
    const isBack = async () => (await countRefunds(stage, "succeeded")) >= REFUNDS;
    demand(await until(isBack, GIVEN_BACK_WITHIN_MS), "the money was not given back after the replay");
    await untilMoreAccepted(stage, 5);
    return {
      fired: failed,
      planned: REFUNDS,
      evidence: `${failed} refunds refused, told by dead letters, alarms and the metric, and given back by a replay`,
      healedAtMs,
      broken,
    };
  },
};

/** Asks for refunds of confirmed orders. @returns how many were opened */
async function askForRefunds({ system, sale, history, random }: Stage): Promise<number> {
  const confirmed = async () => {
    const result = await system.pool.query<{ id: string; buyer: string; productId: string; units: number }>(
      `SELECT o.id, o.customer_id AS buyer, min(l.product_id::text) AS "productId", sum(l.quantity)::int AS units
       FROM orders o JOIN order_lines l ON l.order_id = o.id
       WHERE o.sale_id = $1 AND o.status = 'CONFIRMED' GROUP BY 1, 2 HAVING sum(l.quantity) > 1 ORDER BY o.id LIMIT $2`,
      [sale.id, REFUNDS],
    );
    return result.rows;
  };
  await until(async () => (await confirmed()).length >= REFUNDS, CONFIRMED_WITHIN_MS);
  const http = new HttpClient(system.apiUrl, 8);
  const givesUpAt = () => performance.now() + 5_000;
  try {
    const administrator = await asAdministrator(http);
    const asked = (await confirmed()).map(({ id: orderId, buyer, productId }, i) => {
      const restock = i % 2 === 0;
      const body = i % 3 === 2 ? { items: [{ productId, quantity: 1 }], restock } : { restock };
      const headers = { ...administrator, "idempotency-key": seededUuid(random) };
      const request = { method: "POST", path: `/api/v1/orders/${orderId}/refunds`, headers, body } as const;
      const operation = { op: history.nextOperation(), operation: "refund", buyer, orderId } as const;
      return insist(history, operation, random, givesUpAt, () => http.send(request));
    });
    return (await Promise.all(asked)).filter((learned) => learned !== undefined).length;
  } finally {
    http.close();
  }
}

async function setRefundMode({ gateway }: System, mode: "accept" | "refuse"): Promise<void> {
  const answer = await fetch(`${gateway.url}/refund-mode`, {
    method: "PUT",
    headers: { authorization: `Bearer ${gateway.key}` },
    body: JSON.stringify({ mode }),
  });
  if (!answer.ok) throw new Error(`PUT /refund-mode: ${answer.status}`);
}

async function countRefunds({ system, sale }: Stage, state: string): Promise<number> {
  const result = await system.pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM refunds r JOIN orders o ON o.id = r.order_id WHERE o.sale_id = $1 AND r.state = $2`,
    [sale.id, state],
  );
  return result.rows[0]?.count ?? 0;
}

async function countLetters({ system, sale }: Stage): Promise<number> {
  const result = await system.pool.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM dead_letters WHERE sale_id = $1 AND kind = 'refund' AND state = 'open'",
    [sale.id],
  );
  return result.rows[0]?.count ?? 0;
}

/** Orders with a refused refund that are not where they have to wait for it, in words. */
async function ordersNotWaiting({ system, sale }: Stage): Promise<string[]> {
  const result = await system.pool.query<{ id: string; status: string; refunded: number; scope: string }>(
    `SELECT o.id, o.status, o.refunded_amount AS refunded, r.scope FROM orders o JOIN refunds r ON r.order_id = o.id
     WHERE o.sale_id = $1 AND r.state = 'failed'
       AND (o.status, o.refunded_amount) <> (CASE r.scope WHEN 'whole' THEN 'REFUND_PENDING' ELSE 'CONFIRMED' END, 0)`,
    [sale.id],
  );
  return result.rows.map(({ id, status, refunded, scope }) => `${id} is ${status} with ${refunded} back (${scope})`);
}

async function failedByMetrics({ apiUrl }: System): Promise<number> {
  const answer = await fetch(`${apiUrl}/metrics`);
  const [, failed] = /^onrush_refunds\{state="failed"\} (\d+)$/m.exec(await answer.text()) ?? [];
  return Number(failed ?? Number.NaN);
}

function alarmsOf({ folder }: System): number {
  return readFileSync(path.join(folder, "worker.log"), "utf8").split(ALARM).length - 1;
}

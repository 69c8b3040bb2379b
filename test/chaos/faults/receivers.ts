// Webhooks out while the receiver fails in every way and the worker that sends them is killed: at moments drawn from the seed, and
// the moment a cursor's move is committed.
import { setTimeout as sleep } from "node:timers/promises";
import { HttpClient, member } from "../../../demo/http.ts";
import { FAILINGS, FailingReceiver } from "../../support/faults/failing-receiver.ts";
import { checkWebhooks, eventsOf, type ToldOrder } from "../checker/webhooks.ts";
import { onrush } from "../operator.ts";
import { asAdministrator, create } from "../shop.ts";
import { type Fault, pause, type Stage, unmet, until, untilMoreAccepted } from "./fault.ts";

/** How long each way of failing goes on, and how often the worker is killed both ways. */
const PLAN = {
  full: { failsForMs: 6_000, downForMs: 20_000, kills: 6, killsAtCommit: 6 },
  short: { failsForMs: 200, downForMs: 500, kills: 1, killsAtCommit: 1 },
} as const;
const LIFE_MS = { full: 2_000, short: 400 } as const;
const DOWN_MS = 150;
const MET_WITHIN_MS = 40_000;
const COMMIT_WITHIN_MS = 30_000;
const DEAD_WITHIN_MS = 40_000;
const TOLD_WITHIN_MS = { full: 60_000, short: 20_000 } as const;
const SELLS_WITHIN_MS = 20_000;
/** So much of what is due while the receiver is down is tried for the last time: all of it in one round. */
const DYING_MAX = 12;
/** From one look at the worker's progress, and one push, to the next. */
const LOOK_MS = 250;
/** Postgres' simple query protocol, and what a cursor's move says of itself. */
const CURSOR_COMMIT = { request: "COMMIT\0", following: "UPDATE webhook_cursor", times: 1 };

interface Endpoint {
  readonly id: string;
  readonly receiver: FailingReceiver;
}
const endpoints = new WeakMap<Stage, Endpoint>();

export const receiversFail: Fault = {
  name: "receivers-fail",
  title:
    "a webhooks' receiver slow, failing, cut, hung, down, and the worker killed: every event arrives, genuine, by one id",
  load: { refunds: 0.2 },
  settings: { api: { WEBHOOK_ALLOW_PRIVATE: "true" }, worker: { WEBHOOK_ALLOW_PRIVATE: "true" } },
  async prepare(stage) {
    const receiver = await FailingReceiver.start();
    const http = new HttpClient(stage.system.apiUrl, 1);
    try {
      const headers = await asAdministrator(http);
      const made = await create(http, "/api/v1/webhook-endpoints", { url: receiver.url }, headers);
      receiver.learnSecret(String(member(made, "secret")));
      endpoints.set(stage, { id: String(member(made, "id")), receiver });
    } finally {
      http.close();
    }
  },
  async strike(stage) {
    const { history, pace, system } = stage;
    const { kills, killsAtCommit } = PLAN[pace];
    const { receiver } = endpointOf(stage);
    let isFailing = true;
    const failing = failEveryWay(stage).finally(() => {
      isFailing = false;
    });
    failing.catch(() => undefined); // awaited below
    let [atRandom, atCommit] = [0, 0];
    const isEnough = () => atRandom >= kills && atCommit >= killsAtCommit;
    // In the short run the worker gets to send something, too.
    while (!isEnough() || (isFailing && pace === "full")) {
      if (atRandom <= atCommit) {
        await untilMoreMet(stage);
        await pause(stage.random, LIFE_MS[pace]);
        atRandom += await killWorker(stage);
      } else if (!(await killAtCursor(stage))) break;
      else atCommit += 1;
    }
    await failing;
    await system.process("worker").ensureRunning();
    await letSomeDie(stage);
    receiver.fail("take");
    const healedAtMs = history.now;
    const replayed = await replayDead(stage);
    await untilMoreAccepted(stage, 10, SELLS_WITHIN_MS);
    const met = FAILINGS.filter((how) => receiver.counts[how] > 0);
    const told = FAILINGS.map((how) => `${receiver.counts[how]} ${how}`).join(", ");
    return {
      fired: met.length + Math.min(atRandom, kills) + Math.min(atCommit, killsAtCommit) + (replayed > 0 ? 1 : 0),
      planned: FAILINGS.length + kills + killsAtCommit + 1,
      evidence: `worker killed ${atRandom} times at random, ${atCommit} at the cursor's commit; ${told}; ${replayed} dead letters replayed`,
      healedAtMs,
    };
  },
  async atRest(stage) {
    const { id, receiver } = endpointOf(stage);
    const orders = await ordersOf(stage, undefined);
    const wanted = orders.flatMap((order) => [...eventsOf(order).keys()]);
    const isTold = async () => {
      const taken = new Set(receiver.received.flatMap((one) => (one.isTaken ? [one.id] : [])));
      if (wanted.every((id) => taken.has(id))) return true;
      await sleep(LOOK_MS);
      return false;
    };
    const withinMs = TOLD_WITHIN_MS[stage.pace];
    await until(isTold, withinMs);
    const isQuiet = await until(async () => (await countDeliveries(stage, "state <> 'delivered'")) === 0, withinMs);
    const { code, said } = await onrush(stage.system, "webhook", "delete", id, "--yes").ended;
    await receiver.stop();
    return [
      ...(isQuiet ? [] : [unmet("deliveries come to an end", "some are pending or dead")]),
      ...(code === 0 ? [] : [unmet("the CLI deletes the endpoint", said)]),
      ...checkWebhooks({ orders, others: await ordersOf(stage, namedIn(receiver)) }, receiver.received),
    ];
  },
  figures(stage) {
    const { received } = endpointOf(stage).receiver;
    const taken = received.filter(({ isTaken }) => isTaken);
    const events = new Set(taken.map(({ id }) => id)).size;
    return `${received.length} webhooks came, ${taken.length} were taken, ${events} events`;
  },
};

function endpointOf(stage: Stage): Endpoint {
  const endpoint = endpoints.get(stage);
  if (!endpoint) throw new Error("the endpoint is made before the rush");
  return endpoint;
}

/** Orders that its webhooks are about. */
function namedIn({ received }: FailingReceiver): string[] {
  return [...new Set(received.flatMap(({ id }) => /^evt_([0-9a-f-]{36})_\d+$/.exec(id)?.[1] ?? []))];
}

/** A worker that dies before it has sent anything shows nothing: each gets this far, where the machine lets it. */
async function untilMoreMet(stage: Stage): Promise<void> {
  const { receiver } = endpointOf(stage);
  const met = () => receiver.received.length + receiver.counts.down;
  const before = met();
  await pushUntil(stage, () => met() > before, MET_WITHIN_MS);
}

/** One way after the other, each until it was met. */
async function failEveryWay(stage: Stage): Promise<void> {
  const { receiver } = endpointOf(stage);
  const { failsForMs, downForMs } = PLAN[stage.pace];
  for (const how of FAILINGS) {
    receiver.fail(how);
    await Promise.all([
      sleep(how === "down" ? downForMs : failsForMs),
      pushUntil(stage, () => receiver.counts[how] > 0, MET_WITHIN_MS),
    ]);
  }
}

/** For some of what is due, while the receiver is down, the day of its tries is over: it is dead by the next one. */
async function letSomeDie(stage: Stage): Promise<void> {
  await letDayPass(stage, endpointOf(stage).id);
  const isOver = "state = 'pending' AND opened_at < now() - interval '1 day'";
  await pushUntil(stage, async () => (await countDeliveries(stage, isOver)) === 0, DEAD_WITHIN_MS);
}

/** Waits for the condition, and skips the time for which an endpoint that fails is left alone: up to a minute. */
async function pushUntil(stage: Stage, condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  const sql = "UPDATE webhook_endpoints SET held_until = NULL, woken_at = NULL WHERE id = $1";
  await until(async () => {
    if (await condition()) return true;
    await stage.system.pool.query(sql, [endpointOf(stage).id]);
    await sleep(LOOK_MS);
    return false;
  }, timeoutMs);
}

async function killWorker({ system, random }: Stage): Promise<number> {
  const worker = system.process("worker");
  const { pid } = worker;
  await worker.down("SIGKILL");
  await pause(random, DOWN_MS);
  await worker.start();
  return worker.pid !== pid ? 1 : 0;
}

/** The cursor has moved, for good, and whoever moved it is gone. @returns whether that came to be */
async function killAtCursor(stage: Stage): Promise<boolean> {
  const { system } = stage;
  const worker = system.process("worker");
  const proxy = system.path("worker>postgres");
  let isKilled = false;
  proxy.loseAnswersTo({
    ...CURSOR_COMMIT,
    onAnswer: () => {
      worker.killNow();
      isKilled = true;
    },
  });
  await until(() => isKilled, COMMIT_WITHIN_MS);
  proxy.heal();
  await killWorker(stage);
  return isKilled;
}

/** What was never taken within its day goes again by the admin CLI. @returns how many */
async function replayDead(stage: Stage): Promise<number> {
  const { id } = endpointOf(stage);
  const { code, output, said } = await onrush(stage.system, "webhook", "replay", id, "--all", "--yes", "--json").ended;
  if (code !== 0) throw new Error(`webhook replay ended with ${code}: ${said}`);
  return (JSON.parse(output) as { replayed: unknown[] }).replayed.length;
}

async function letDayPass({ system }: Stage, id: string): Promise<void> {
  await system.pool.query(
    `UPDATE webhook_deliveries SET opened_at = now() - interval '25 hours', due_at = now() - interval '1 hour'
     WHERE id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'pending' AND NOT taken
       ORDER BY id LIMIT $2)`,
    [id, DYING_MAX],
  );
}

async function countDeliveries(stage: Stage, which: string): Promise<number> {
  const result = await stage.system.pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM webhook_deliveries WHERE endpoint_id = $1 AND ${which}`,
    [endpointOf(stage).id],
  );
  return result.rows[0]?.count ?? 0;
}

/** The sale's, or these of others. */
async function ordersOf({ system, sale }: Stage, ids: readonly string[] | undefined): Promise<ToldOrder[]> {
  const result = await system.pool.query<ToldOrder>(
    `SELECT id, (SELECT json_agg(json_build_object('version', t.version, 'status', t.status) ORDER BY t.version)
       FROM order_timeline t WHERE t.order_id = o.id) AS timeline
     FROM orders o WHERE CASE WHEN $2::uuid[] IS NULL THEN sale_id = $1 ELSE sale_id <> $1 AND id = ANY ($2) END`,
    [sale.id, ids ?? null],
  );
  return result.rows;
}

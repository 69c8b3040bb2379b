// Workers that are killed again and again, and the payment provider with them, while money moves: charges of every kind, and
// refunds of every kind.
import { setTimeout as sleep } from "node:timers/promises";
import type { Books, Violation } from "../checker/books.ts";
import { type Placement, placementsOf } from "../history.ts";
import { failingProof } from "../operator.ts";
import type { ProcessName } from "../system.ts";
import { type Fault, pause, type Stage, unmet, untilMoreAccepted } from "./fault.ts";

/** Every way in which a card behaves, by its token; what is paid by wallet counts as one more. */
const TOKENS = [
  "tok_ok",
  "tok_declined",
  "tok_insufficient",
  "tok_slow",
  "tok_timeout",
  "tok_flaky",
  "tok_error",
  "tok_pending",
] as const;
const MEANS: readonly string[] = [...TOKENS, "wallet"];
/** Such a card moves no money, whatever happens. */
const NEVER_PAID: readonly string[] = ["tok_declined", "tok_insufficient", "tok_error"];

/** From a start to the next kill, on average. */
const LIFE_MS = { full: 2_500, short: 1_000 } as const;
const DOWN_MS = 200;
const KILLS_MAX = 60;
const SELLS_WITHIN_MS = 20_000;

interface Killing {
  readonly kills: number;
  readonly gatewayKills: number;
  /** Goes on until so much has happened, too. */
  isEnough(): boolean | Promise<boolean>;
}

/** Kills the worker at moments drawn from the seed. @returns how often it and the gateway were killed */
async function killAgainAndAgain(stage: Stage, { kills, gatewayKills, isEnough }: Killing): Promise<[number, number]> {
  const { system, random } = stage;
  const hit = async (name: ProcessName) => {
    const victim = system.process(name);
    const { pid } = victim;
    await victim.down("SIGKILL");
    await pause(random, DOWN_MS);
    await victim.start();
    return victim.pid !== pid ? 1 : 0;
  };
  let [ofWorker, ofGateway] = [0, 0];
  for (let n = 1; n <= KILLS_MAX && (ofWorker < kills || ofGateway < gatewayKills || !(await isEnough())); n += 1) {
    await pause(random, LIFE_MS[stage.pace]);
    // The provider dies with the worker the first time, and beside a worker that lives the second.
    if (n === 2 || n === 3) ofGateway += await hit("gateway");
    if (n !== 3) ofWorker += await hit("worker");
  }
  return [ofWorker, ofGateway];
}

const KILLS = { full: { kills: 8, orders: 200 }, short: { kills: 2, orders: 10 } } as const;

export const workersKilledAtRandom: Fault = {
  name: "workers-killed-at-random",
  title:
    "worker killed again and again, the gateway twice, under every card and the wallet: one capture an order, or none",
  quick: true,
  load: { ordersPerSecond: 90, wallets: 0.12, hardCards: { tokens: TOKENS, part: 0.9 } },
  async strike(stage) {
    const { kills, orders } = KILLS[stage.pace];
    const least = () => Math.min(...MEANS.map((means) => paidBy(stage, means).length));
    const [ofWorker, ofGateway] = await killAgainAndAgain(stage, {
      kills,
      gatewayKills: 2,
      isEnough: () => least() >= orders,
    });
    const healedAtMs = stage.history.now;
    await untilMoreAccepted(stage, 10, SELLS_WITHIN_MS);
    return {
      fired: least() >= orders ? ofWorker + ofGateway : 0,
      planned: kills + 2,
      evidence: `worker killed ${ofWorker} times, gateway ${ofGateway} times`,
      healedAtMs,
    };
  },
  verify: (stage, { orders }) =>
    NEVER_PAID.flatMap((means) => {
      const of = new Set(paidBy(stage, means).flatMap(({ orderIds }) => orderIds));
      const paid = orders.filter(({ id, status }) => of.has(id) && status !== "CANCELLED");
      return paid.map(({ id, status }): Violation => unmet("a refused card pays nothing", `${id} is ${status}`, 5));
    }),
  figures: (stage, books) => MEANS.map((means) => `${means} ${endsOf(stage, books, means)}`).join("; "),
};

/** Accepted placements that are paid so. */
function paidBy({ history }: Stage, means: string): Placement[] {
  return placementsOf(history.events).filter(
    ({ payment, orderIds }) => orderIds.length > 0 && (payment?.token ?? payment?.method) === means,
  );
}

/** `confirmed of all`, and why the others were not paid. */
function endsOf(stage: Stage, { orders, attempts }: Books, means: string): string {
  const of = new Set(paidBy(stage, means).flatMap(({ orderIds }) => orderIds));
  const ours = orders.filter(({ id }) => of.has(id));
  const confirmed = ours.filter(({ status }) => status === "CONFIRMED").length;
  const errors = attempts.flatMap(({ orderId, error }) => (of.has(orderId) && error !== null ? [error] : []));
  const why = [...Map.groupBy(errors, (error) => error)].map(([error, each]) => `, ${each.length} ${error}`);
  return `${confirmed} of ${ours.length}${why.join("")}`;
}

/** Longer than a return may wait for the ledger before a sweep carries it again. */
const FROZEN_MS = 5_500;
const REFUND_KILLS = { full: { kills: 8, refunds: 200 }, short: { kills: 3, refunds: 25 } } as const;

export const refundsUnderKills: Fault = {
  name: "refunds-under-kills",
  title:
    "refunds of every kind while worker and gateway are killed: each once at the provider, units back once, proof valid",
  load: { wallets: 0.25, refunds: 0.6 },
  async strike(stage) {
    const { kills, refunds } = REFUND_KILLS[stage.pace];
    const asked = () => refundsAskedFor(stage);
    const isEnough = () => asked() >= refunds;
    const [ofWorker, ofGateway] = await killAgainAndAgain(stage, { kills, gatewayKills: 2, isEnough });
    // Units that Redis has back and the ledger does not are carried once more.
    const persister = stage.system.process("persister");
    persister.freeze();
    await sleep(FROZEN_MS);
    persister.thaw();
    const healedAtMs = stage.history.now;
    await untilMoreAccepted(stage, 10, SELLS_WITHIN_MS);
    return {
      fired: isEnough() ? ofWorker + ofGateway : 0,
      planned: kills + 2,
      evidence: `worker killed ${ofWorker} times, gateway ${ofGateway} times, persister frozen for ${FROZEN_MS / 1_000} s`,
      healedAtMs,
    };
  },
  async atRest({ system, sale }) {
    const failure = await failingProof(system, sale.id);
    return failure === undefined ? [] : [unmet("the proof holds", failure, 1)];
  },
  figures(_stage, { refunds, orders, returns }) {
    const kinds = Map.groupBy(refunds, ({ scope, method }) => `${scope} by ${method}`);
    const onSale = returns.filter(({ restock }) => restock).length;
    const refunded = orders.filter(({ status }) => status === "REFUNDED").length;
    return [
      `${refunds.length} refunds`,
      ...[...kinds].map(([kind, of]) => `${of.length} ${kind}`),
      `${onSale} returns on sale, ${returns.length - onSale} written off`,
      `${refunded} orders REFUNDED`,
    ].join(", ");
  },
};

function refundsAskedFor({ history }: Stage): number {
  const asked = new Set(
    history.events.flatMap((event) => (event.type === "invoke" && event.operation === "refund" ? [event.op] : [])),
  );
  return new Set(history.events.flatMap(({ type, op }) => (type === "ok" && asked.has(op) ? [op] : []))).size;
}

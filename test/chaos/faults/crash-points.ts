// kill -9 at every crash point: around each script call, each commit, each acknowledgement, each call of the payment gateway
// and each message. They are made from outside: the proxies know the request by its bytes, and the process that sent it dies
// before the server has it, or when the server has answered and nobody has heard. Production code knows nothing of this.
import { setTimeout as sleep } from "node:timers/promises";
import { scriptOf } from "../../../engine/redis/scripts.ts";
import type { Violation } from "../checker/books.ts";
import { onrush, rebuild } from "../operator.ts";
import { restock } from "../shop.ts";
import type { PathName, ProcessName } from "../system.ts";
import type { Load } from "../workload.ts";
import { type Fault, pause, type Stage, type Strike, unmet, untilMoreAccepted } from "./fault.ts";
import { keysOf } from "./recovery.ts";

type Role = "api" | "persister" | "worker" | "cli";
type Moment = "before" | "after";

interface Step {
  readonly role: Role;
  readonly name: string;
  readonly path: PathName;
  /** Bytes of the request, and those that went before it on its connection. */
  readonly request: string;
  readonly following?: string;
  /** Makes the request come, where buying alone does not. */
  provoke?(stage: Stage): Promise<unknown>;
  /** Frozen meanwhile, because it would do the same first. */
  readonly without?: ProcessName;
  /** Needs buyers and settings of its own; walked apart from the others. */
  readonly needs?: Need;
}

/** `money`: refunds, wallets, cancels of what is being paid, webhooks. `expiry`: charges decided after the reservation. */
type Need = "money" | "expiry";

interface CrashPoint {
  readonly name: string;
  readonly step: Step;
  readonly moment: Moment;
}

/** Postgres' simple query protocol, and a publication by Redis' protocol, as they stand on the wire. */
const COMMIT = "COMMIT\0";
/** What a late payment's refund, and the end of a wait for an undecided charge, say of themselves. */
const PAID_LATE = "paid after it";
const EXPIRE_PENDING = "AND EXISTS (SELECT FROM payment_attempts a";
const PUBLISH_ORDERS = "publish\r\n$13\r\nonrush:orders";

const STEPS: readonly Step[] = [
  { role: "worker", name: "claim", path: "worker>postgres", request: COMMIT, following: "startPayments\0" },
  { role: "worker", name: "charge", path: "worker>gateway", request: "POST /charges" },
  { role: "worker", name: "record", path: "worker>postgres", request: COMMIT, following: "endAttempts\0" },
  { role: "worker", name: "settle", path: "worker>redis", request: scriptOf("settle").sha },
  { role: "worker", name: "release", path: "worker>redis", request: scriptOf("release").sha },
  { role: "worker", name: "expire", path: "worker>postgres", request: COMMIT, following: "reason = 'EXPIRED'" },
  { role: "worker", name: "publish", path: "worker>redis", request: PUBLISH_ORDERS },
  {
    role: "worker",
    name: "wallet",
    path: "worker>postgres",
    request: COMMIT,
    following: "bookWalletCharges\0",
    needs: "money",
  },
  { role: "worker", name: "take-refund", path: "worker>postgres", request: "takeRefunds\0", needs: "money" },
  { role: "worker", name: "refund", path: "worker>gateway", request: "POST /refunds", needs: "money" },
  {
    role: "worker",
    name: "record-refund",
    path: "worker>postgres",
    request: COMMIT,
    following: "succeedRefunds\0",
    needs: "money",
  },
  { role: "worker", name: "take-back", path: "worker>redis", request: scriptOf("take-back").sha, needs: "money" },
  {
    role: "worker",
    name: "late-success",
    path: "worker>postgres",
    request: COMMIT,
    following: "SET late_capture",
    needs: "money",
  },
  {
    role: "worker",
    name: "late-refund",
    path: "worker>postgres",
    request: COMMIT,
    following: PAID_LATE,
    needs: "money",
  },
  {
    role: "api",
    name: "refund",
    path: "api>postgres",
    request: COMMIT,
    following: "INSERT INTO refunds",
    needs: "money",
  },
  {
    role: "api",
    name: "webhook",
    path: "api>postgres",
    request: COMMIT,
    following: "INTO payment_events",
    needs: "money",
  },
  { role: "worker", name: "revive", path: "worker>redis", request: scriptOf("revive").sha, needs: "expiry" },
  {
    role: "worker",
    name: "expire-pending",
    path: "worker>postgres",
    request: COMMIT,
    following: EXPIRE_PENDING,
    needs: "expiry",
  },
  { role: "api", name: "place", path: "api>redis", request: scriptOf("place").sha },
  { role: "api", name: "commit", path: "api>postgres", request: COMMIT },
  {
    role: "api",
    name: "restock",
    path: "api>redis",
    request: scriptOf("restock").sha,
    without: "worker",
    provoke: ({ system, sale }) => restock(system, sale, 2, 5).catch(() => undefined), // the API may be gone by then
  },
  { role: "persister", name: "commit", path: "persister>postgres", request: COMMIT },
  { role: "persister", name: "acknowledge", path: "persister>redis", request: scriptOf("acknowledge").sha },
  { role: "persister", name: "publish", path: "persister>redis", request: PUBLISH_ORDERS },
  { role: "persister", name: "lease", path: "persister>redis", request: scriptOf("lease").sha },
  { role: "cli", name: "fence", path: "cli>redis", request: "$3\r\ndel\r\n" },
  { role: "cli", name: "commit", path: "cli>postgres", request: COMMIT, following: "epoch = epoch + 1" },
  { role: "cli", name: "load", path: "cli>redis", request: scriptOf("load").sha },
  { role: "cli", name: "open", path: "cli>postgres", request: "SET state = 'live', reason = NULL" },
];
const POINTS: readonly CrashPoint[] = STEPS.flatMap((step) =>
  (["before", "after"] as const).map((moment) => ({
    name: `crash:${step.role}:${step.name}:${moment}`,
    step,
    moment,
  })),
);
const ROLES: readonly Role[] = ["worker", "api", "persister", "cli"];

const COMES_WITHIN_MS = 30_000;
const BETWEEN = 5;
const SELLS_WITHIN_MS = 20_000;
/** Reservations run out all the time, so that there is always something to expire. */
const CRASH_LOAD: Partial<Load> = { unpaid: "always" };
const PENDING = ["tok_pending"];
/** Longer than the reservation, the grace, and the look-up that notices their end; what comes is awaited for as much longer. */
const PENDING_MS = 22_000;
const SURROUNDINGS: Readonly<Record<Need | "none", Pick<Fault, "load" | "settings">>> = {
  none: { load: CRASH_LOAD },
  money: {
    load: { ...CRASH_LOAD, wallets: 0.15, refunds: 0.3, hardCards: { tokens: PENDING, part: 0.15, cancelled: 0.7 } },
    settings: ({ webhooks }) => ({ gateway: { PAYMENT_WEBHOOK_URL: webhooks.url } }),
  },
  expiry: {
    load: { ...CRASH_LOAD, hardCards: { tokens: PENDING, part: 0.1 } },
    settings: { gateway: { PAYMENT_PENDING_MS: String(PENDING_MS) } },
  },
};

/** Each by itself, for `--fault crash:persister:commit:after`. */
export const crashPoints: readonly Fault[] = POINTS.map((point) => ({
  name: point.name,
  title: `${point.step.role} killed ${point.moment} its ${point.step.name}: no loss, no double`,
  onlyByName: true,
  ...SURROUNDINGS[point.step.needs ?? "none"],
  strike: (stage) => walk(stage, [point]),
}));

/** All points of one role, one after the other on one sale. */
const roleWalks: readonly Fault[] = ROLES.map((role) => {
  const points = POINTS.filter(({ step }) => step.role === role && step.needs === undefined);
  return {
    name: `crash:${role}`,
    title: `${role} killed before and after each of its ${stepsOf(points).join(", ")}: no loss, no double`,
    ...SURROUNDINGS.none,
    strike: (stage) => walk(stage, points),
  };
});

/** The points that need a crowd of their own. */
const needWalks: readonly Fault[] = (["money", "expiry"] as const).map((need) => {
  const points = POINTS.filter(({ step }) => step.needs === need);
  return {
    name: `crash:${need}`,
    title: `killed before and after each ${stepsOf(points).join(", ")}: one charge, one refund, one decision`,
    ...SURROUNDINGS[need],
    strike: (stage) => walk(stage, points),
  };
});

export const crashWalks: readonly Fault[] = [...roleWalks, ...needWalks];

/** One point of each role, drawn from the seed. */
export const crashDraw: Fault = {
  name: "crash-points",
  title: "one of each role's crash points, drawn from the seed",
  quick: true,
  onlyQuick: true,
  strike: (stage) =>
    walk(
      stage,
      ROLES.flatMap((role) => {
        const points = POINTS.filter(({ step }) => step.role === role && !step.needs && step.name !== "expire");
        return points[Math.floor(stage.random() * points.length)] ?? [];
      }),
    ),
};

function stepsOf(points: readonly CrashPoint[]): string[] {
  return [...new Set(points.map(({ step }) => step.name))];
}

async function walk(stage: Stage, points: readonly CrashPoint[]): Promise<Strike> {
  const { history } = stage;
  const broken: Violation[] = [];
  const missed: string[] = [];
  let healedAtMs = history.now;
  for (const point of points) {
    const isHit = point.step.role === "cli" ? await crashOperator(stage, point) : await crashRole(stage, point);
    if (!isHit) missed.push(point.name);
    healedAtMs = history.now;
    if (!(await untilMoreAccepted(stage, BETWEEN, SELLS_WITHIN_MS))) {
      broken.push(unmet("buying goes on after a crash", `not after ${point.name}`));
    }
  }
  const fired = points.length - missed.length;
  const names = points.filter(({ name }) => !missed.includes(name)).map(({ name }) => name.slice("crash:".length));
  const never = missed.length > 0 ? `; never reached: ${missed.join(", ")}` : "";
  return { fired, planned: points.length, evidence: `killed at ${names.join(", ")}${never}`, healedAtMs, broken };
}

/** Kills whoever sends the point's request next. @returns whether that came to be */
async function crashAt(stage: Stage, { step, moment }: CrashPoint, kill: () => void): Promise<boolean> {
  const proxy = stage.system.path(step.path);
  const { request, following } = step;
  const struck = Promise.withResolvers<boolean>();
  const strike = () => {
    kill();
    struck.resolve(true);
  };
  const target = { request, times: 1, ...(following !== undefined && { following }) };
  if (moment === "before") proxy.cutBefore({ ...target, onHit: strike });
  else proxy.loseAnswersTo({ ...target, onAnswer: strike });
  const rival = step.without && stage.system.process(step.without);
  rival?.freeze();
  const provoked = step.provoke?.(stage);
  const timeout = new AbortController();
  const isHit = await Promise.race([
    struck.promise,
    sleep(COMES_WITHIN_MS, false, { signal: timeout.signal }).catch(() => false),
  ]);
  timeout.abort();
  proxy.heal();
  rival?.thaw();
  await provoked;
  return isHit;
}

async function crashRole(stage: Stage, point: CrashPoint): Promise<boolean> {
  const { system, random } = stage;
  const role = point.step.role as Exclude<Role, "cli">;
  const victim = system.process(role);
  const isHit = await crashAt(stage, point, () => victim.killNow());
  await victim.down("SIGKILL");
  await pause(random, 100);
  // A dead persister's lease runs out by itself in 5 s; another fault waits for that.
  if (role === "persister") await system.redis.del(keysOf(stage).lease);
  await victim.start();
  return isHit;
}

/** An operator's rebuild dies on its way; the next one does the whole of it. */
async function crashOperator(stage: Stage, point: CrashPoint): Promise<boolean> {
  const { system, sale } = stage;
  const command = onrush(system, "stock", "rebuild", "--sale", sale.id, "--apply", "--json");
  const isHit = await crashAt(stage, point, () => command.killNow());
  const { code } = await command.ended;
  await rebuild(system, sale.id);
  return isHit && code === null;
}

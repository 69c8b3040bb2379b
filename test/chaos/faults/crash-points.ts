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
}

interface CrashPoint {
  readonly name: string;
  readonly step: Step;
  readonly moment: Moment;
}

/** Postgres' simple query protocol, and a publication by Redis' protocol, as they stand on the wire. */
const COMMIT = "COMMIT\0";
const PUBLISH_ORDERS = "publish\r\n$13\r\nonrush:orders";

const STEPS: readonly Step[] = [
  { role: "worker", name: "claim", path: "worker>postgres", request: COMMIT, following: "startPayments\0" },
  { role: "worker", name: "charge", path: "worker>gateway", request: "POST /charges" },
  { role: "worker", name: "record", path: "worker>postgres", request: COMMIT, following: "endAttempts\0" },
  { role: "worker", name: "settle", path: "worker>redis", request: scriptOf("settle").sha },
  { role: "worker", name: "release", path: "worker>redis", request: scriptOf("release").sha },
  { role: "worker", name: "expire", path: "worker>postgres", request: COMMIT, following: "reason = 'EXPIRED'" },
  { role: "worker", name: "publish", path: "worker>redis", request: PUBLISH_ORDERS },
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

const COMES_WITHIN_MS = 20_000;
const BETWEEN = 5;
const SELLS_WITHIN_MS = 20_000;
/** Reservations run out all the time, so that there is always something to expire. */
const CRASH_LOAD: Partial<Load> = { unpaid: "always" };

/** Each by itself, for `--fault crash:persister:commit:after`. */
export const crashPoints: readonly Fault[] = POINTS.map((point) => ({
  name: point.name,
  title: `${point.step.role} killed ${point.moment} its ${point.step.name}: no loss, no double`,
  onlyByName: true,
  load: CRASH_LOAD,
  strike: (stage) => walk(stage, [point]),
}));

/** All points of one role, one after the other on one sale. */
export const crashWalks: readonly Fault[] = ROLES.map((role) => ({
  name: `crash:${role}`,
  title: `${role} killed before and after each of its ${stepsOf(role).join(", ")}: no loss, no double`,
  load: CRASH_LOAD,
  strike: (stage) =>
    walk(
      stage,
      POINTS.filter(({ step }) => step.role === role),
    ),
}));

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
        const points = POINTS.filter(({ step }) => step.role === role && step.name !== "expire");
        return points[Math.floor(stage.random() * points.length)] ?? [];
      }),
    ),
};

function stepsOf(role: Role): string[] {
  return STEPS.filter((step) => step.role === role).map(({ name }) => name);
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

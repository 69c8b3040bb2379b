// One fault from end to end: a sale of its own, a rush, the fault in the middle of it, rest, judgement.
import { seededRandom } from "../../demo/random.ts";
import { readBooks } from "./books.ts";
import type { Books, Violation } from "./checker/books.ts";
import { check, type Minimum, shortfalls } from "./checker/check.ts";
import { handOut } from "./discounts.ts";
import { type Fault, type Pace, type Strike, settingsOf, unmet, until } from "./faults/fault.ts";
import { type Counts, countsOf, History, placementsOf } from "./history.ts";
import { signUp } from "./people.ts";
import { rest } from "./rest.ts";
import { openSale } from "./shop.ts";
import type { ProcessName, RoleName, System } from "./system.ts";
import { LOAD, startCrowd } from "./workload.ts";

export interface Verdict {
  readonly fault: string;
  readonly seed: number;
  readonly fired: number;
  readonly evidence: string;
  readonly counts: Counts;
  /** From the mending to the next acceptance, and from the end of the rush to rest; undefined: it did not come. */
  readonly sellsAgainMs: number | undefined;
  readonly atRestMs: number | undefined;
  readonly violations: readonly Violation[];
  /** What keeps the run from proving anything: the fault did not fire, too little was sold. */
  readonly shortfalls: readonly string[];
}

export interface Outcome {
  readonly verdict: Verdict;
  readonly history: History;
  readonly books: Books | undefined;
}

export const RESTS = "everything comes to rest";

const MINIMUM: Minimum = { accepted: 50, refused: 5, unknown: 0 };
/** The fault comes when the rush is on. */
const ACCEPTED_BEFORE = 30;
/** Signed up where the load needs them. */
const MEMBERS = 16;
const RUSH_TIMEOUT_MS = 15_000;
/** How long buying goes on once everything is mended: what follows a fault is part of it. */
const RUSH_AFTER_MS = 1_000;
const ROLES: readonly ProcessName[] = ["redis", "postgres", "gateway", "persister", "worker", "api"];

export interface Rules {
  readonly seed: number;
  /** How long the sale gets to come to rest. */
  readonly patienceMs: number;
  readonly pace: Pace;
}

export async function runScenario(system: System, fault: Fault, { seed, patienceMs, pace }: Rules): Promise<Outcome> {
  await applySettings(system, fault, (settings) => settings);
  const sale = await openSale(system, fault.name);
  const history = new History();
  const stage = { system, sale, history, random: seededRandom(seed ^ 0x5eed), pace };
  const load = { ...LOAD, ...fault.load };
  const knows = [load.wallets, load.refunds, load.discounts].some((wants) => wants !== undefined);
  const people = knows ? await signUp(system, sale.id, MEMBERS) : undefined;
  const discounts = load.discounts && people ? await handOut(system, sale, people) : undefined;
  await fault.prepare?.(stage);
  const crowd = startCrowd({ apiUrl: system.apiUrl, sale, history, people, discounts }, seed, load);

  const deathsBefore = deathsOf(system);
  await until(() => history.accepted >= ACCEPTED_BEFORE, RUSH_TIMEOUT_MS);
  let strike: Strike;
  try {
    strike = await fault.strike(stage);
  } finally {
    system.healPaths();
    for (const name of ROLES) {
      system.process(name).thaw();
      await system.process(name).ensureRunning();
    }
    crowd.release(RUSH_AFTER_MS);
  }
  const healedAtMs = strike.healedAtMs ?? history.now;
  await crowd.done;

  const endedAt = performance.now();
  const motion = await rest(system, sale.id, patienceMs);
  const atRestMs = motion === undefined ? Math.round(performance.now() - endedAt) : undefined;
  const books = await readBooks(system, sale);
  const counts = countsOf(placementsOf(history.events));
  const deaths = deathsOf(system) - deathsBefore;
  const violations = [
    ...(motion === undefined ? [] : [unmet(RESTS, motion)]),
    ...(deaths === 0 ? [] : [unmet("no process dies by itself", `${deaths} did`)]),
    ...check(history.events, books, strike.allowances),
    ...(strike.broken ?? []),
    ...((await fault.atRest?.(stage)) ?? []),
    ...(fault.verify?.(stage, books) ?? []),
  ];
  await applySettings(system, fault, () => ({}));
  return {
    verdict: {
      fault: fault.name,
      seed,
      fired: strike.fired,
      evidence: [strike.evidence, fault.figures?.(stage, books)].filter((text) => text !== undefined).join("; "),
      counts,
      sellsAgainMs: firstAcceptedAfter(history, healedAtMs),
      atRestMs,
      violations,
      shortfalls: shortfalls(counts, strike.fired, { ...MINIMUM, ...fault.minimum }, strike.planned),
    },
    history,
    books,
  };
}

async function applySettings(
  system: System,
  fault: Fault,
  of: (settings: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
): Promise<void> {
  for (const [role, settings] of Object.entries(settingsOf(fault, system)))
    await system.restart(role as RoleName, of(settings));
}

function firstAcceptedAfter(history: History, atMs: number): number | undefined {
  const event = history.events.find(({ type, at }, i) => {
    if (type !== "ok" || at < atMs) return false;
    const end = history.events[i];
    return end?.type === "ok" && (end.status === 202 || end.replayed === true);
  });
  return event && Math.round(event.at - atMs);
}

function deathsOf(system: System): number {
  return ROLES.reduce((sum, name) => sum + system.process(name).unexpectedDeaths, 0);
}

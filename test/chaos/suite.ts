// Goes through faults one after the other on one system, which is made anew when a fault has spoiled it, and keeps what
// explains a failure: the history, the books' owner's logs, the seed.
import { tmpdir } from "node:os";
import path from "node:path";
import type { Fault, Pace } from "./faults/fault.ts";
import { isGood, trace } from "./report.ts";
import { runScenario, type Verdict } from "./scenario.ts";
import { type System, startSystem } from "./system.ts";

export interface SuiteOptions {
  readonly faults: readonly Fault[];
  readonly seed: number;
  readonly forMs: number | undefined;
  readonly patienceMs: number;
  readonly pace: Pace;
  say(line: string): void;
  readonly signal: AbortSignal;
}

/** @returns a verdict for each run; a run that could not be carried out counts as one that proves nothing */
export async function runSuite(options: SuiteOptions): Promise<Verdict[]> {
  const { faults, seed, forMs, patienceMs, pace, say, signal } = options;
  const verdicts: Verdict[] = [];
  const endsAt = performance.now() + (forMs ?? 0);
  let system: System | undefined;
  let keepFolder = false;
  const closeSystem = async () => {
    const kept = await system?.close({ keepFolder });
    if (kept !== undefined) say(`  logs and data: ${kept}`);
    [system, keepFolder] = [undefined, false];
  };
  try {
    for (let round = 0; round === 0 || (forMs !== undefined && performance.now() < endsAt); round += 1) {
      for (const fault of faults) {
        if (signal.aborted || (round > 0 && performance.now() >= endsAt)) return verdicts;
        say(`${fault.name}: ${fault.title}`);
        try {
          system ??= await startSystem().catch((error: Error) => {
            say(`  ${error.message}; once more, on other ports`);
            return startSystem();
          });
          const outcome = await runScenario(system, fault, { seed: seed + round, patienceMs, pace });
          verdicts.push(outcome.verdict);
          say(`  ${summary(outcome.verdict)}`);
          if (!isGood(outcome.verdict)) {
            keepFolder = true;
            const file = outcome.history.write(
              path.join(tmpdir(), "onrush-chaos-histories"),
              `${fault.name}-${seed + round}`,
            );
            say(`${trace(outcome)}\n  history: ${file}\n  again: ${replay(fault, seed + round)}`);
            await closeSystem(); // what is broken stays as it is, and does not reach the next fault
          }
          if (fault.spoils) await closeSystem();
        } catch (error) {
          if (signal.aborted) return verdicts;
          say(`  could not be carried out: ${error instanceof Error ? error.stack : String(error)}`);
          say(`  again: ${replay(fault, seed + round)}`);
          verdicts.push(nothing(fault, seed + round, error));
          keepFolder = true;
          await closeSystem();
        }
      }
    }
    return verdicts;
  } finally {
    await closeSystem();
  }
}

export function replay(fault: Pick<Fault, "name">, seed: number): string {
  return `npm run chaos -- --fault ${fault.name} --seed ${seed}`;
}

function summary(verdict: Verdict): string {
  const { counts, evidence, violations, shortfalls, sellsAgainMs, atRestMs } = verdict;
  const word = violations.length > 0 ? "BROKEN" : shortfalls.length > 0 ? "PROVES NOTHING" : "held";
  const sells = sellsAgainMs === undefined ? "" : `, sold again after ${sellsAgainMs} ms`;
  const rests = atRestMs === undefined ? "" : `, at rest after ${atRestMs} ms`;
  return `${word}: ${evidence}; ${counts.accepted} accepted, ${counts.refused} refused, ${counts.unknown} in doubt${sells}${rests}`;
}

function nothing(fault: Fault, seed: number, error: unknown): Verdict {
  return {
    fault: fault.name,
    seed,
    fired: 0,
    evidence: "none",
    counts: { accepted: 0, refused: 0, unknown: 0, unresolved: 0 },
    sellsAgainMs: undefined,
    atRestMs: undefined,
    violations: [],
    shortfalls: [error instanceof Error ? error.message : String(error)],
  };
}

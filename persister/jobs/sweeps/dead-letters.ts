// Carries out what operators decided about dead letters over the API. What cannot be done is said on the letter, once; what
// only Redis stands in the way of is tried again.
import { OnrushError } from "../../../engine/errors.ts";
import { listWanted, refuseDeadLetter } from "../../../engine/ledger/dead-letters.ts";
import type { Logger } from "../../../engine/log.ts";
import { type DeadLetterDependencies, discardDeadLetter, replayDeadLetter } from "../../recovery/dead-letters.ts";
import type { Sweep } from "./schedule.ts";

const LETTERS_PER_SWEEP = 100;

export function deadLetterSweep(deps: DeadLetterDependencies, log: Logger): Sweep {
  return {
    name: "dead letters",
    async run(_nowMs, signal) {
      for (const { id, wanted, actor, reason } of await listWanted(deps.pool, LETTERS_PER_SWEEP)) {
        if (signal.aborted) return;
        const decide = wanted === "replay" ? replayDeadLetter : discardDeadLetter;
        try {
          await decide(deps, id, { actor, reason });
          log.info({ deadLetter: id, wanted }, "dead letter decided");
        } catch (error) {
          if (!(error instanceof OnrushError)) throw error;
          if (error.code === "STOCK_UNAVAILABLE") continue;
          await refuseDeadLetter(deps.pool, id, error.message);
        }
      }
    },
  };
}

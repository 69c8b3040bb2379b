// Removes refusals that have been kept for long enough, some each pass.
import type pg from "pg";
import { dropOldRefusals, REFUSALS_KEPT_DAYS } from "../../../engine/refusals/store.ts";
import type { Sweep } from "./schedule.ts";

const ROWS_PER_PASS = 5_000;

export function refusalSweep(pool: pg.Pool): Sweep {
  return {
    name: "refusals",
    async run() {
      await dropOldRefusals(pool, REFUSALS_KEPT_DAYS, ROWS_PER_PASS);
    },
  };
}

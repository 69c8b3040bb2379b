// Where circuit breakers are seen from outside of their worker: a line in the log at each change, and rows that the API shows in
// /metrics. Payments do not wait for it, and go on without it.
import type pg from "pg";
import { type BrokenStatus, SAID_EVERY_MS, sayBroken } from "../../../engine/ledger/payment-circuits.ts";
import type { Logger } from "../../../engine/log.ts";
import { holderName } from "../../../engine/process-identity.ts";
import type { CircuitListener } from "./circuit.ts";
import { startRounds } from "./rounds.ts";

export interface CircuitRecord {
  readonly listener: CircuitListener;
  /** Forgets this worker's circuits and ends the pool. */
  close(): Promise<void>;
}

/** Opens the record over a pool of its own. */
export function openCircuitRecord(pool: pg.Pool, log: Logger): CircuitRecord {
  const holder = holderName();
  const broken = new Map<string, BrokenStatus>();
  const say = async () => {
    await sayBroken(pool, holder, Object.fromEntries(broken));
    return broken.size > 0 ? SAID_EVERY_MS : Number.POSITIVE_INFINITY;
  };
  const rounds = startRounds("circuits of the payment gateway", say, log);
  return {
    listener(circuit, status) {
      if (status === "closed") broken.delete(circuit);
      else broken.set(circuit, status);
      if (status === "open") log.error({ circuit }, "the payment gateway is not there; its circuit is open");
      else log.info({ circuit, status }, "circuit of the payment gateway");
      rounds.wake(0);
    },
    async close() {
      await rounds.stop();
      await sayBroken(pool, holder, {}).catch(() => undefined);
      await pool.end();
    },
  };
}

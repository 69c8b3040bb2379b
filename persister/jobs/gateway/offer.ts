// Says which payment providers this worker is set up for, as long as it runs: an operator may choose one that all workers are.
import type pg from "pg";
import type { PaymentGatewayName } from "../../../engine/config.ts";
import { OFFERED_EVERY_MS, offerGateways, withdrawGateways } from "../../../engine/ledger/payment-gateways.ts";
import type { Logger } from "../../../engine/log.ts";
import { holderName } from "../../../engine/process-identity.ts";
import { startRounds } from "./rounds.ts";

/** Resolves when it is said for the first time. @returns what takes it back */
export async function offerProviders(
  pool: pg.Pool,
  known: readonly PaymentGatewayName[],
  log: Logger,
): Promise<{ stop(): Promise<void> }> {
  const holder = holderName();
  const say = async () => {
    await offerGateways(pool, holder, known);
    return OFFERED_EVERY_MS;
  };
  await say();
  const rounds = startRounds("which payment gateways there are", say, log);
  return {
    async stop() {
      await rounds.stop();
      await withdrawGateways(pool, holder).catch(() => undefined);
    },
  };
}

// Every fault, in the order in which a run goes through them: the one that leaves the system on another server comes last.

import { deadlocks, serializationFailures } from "./conflicts.ts";
import { crashDraw, crashPoints, crashWalks } from "./crash-points.ts";
import { discountsKilledAtRandom } from "./discounts.ts";
import type { Fault } from "./fault.ts";
import { refundsUnderKills, workersKilledAtRandom } from "./kills.ts";
import { paidAfterExpiry } from "./late-payments.ts";
import {
  aofTailCut,
  everysecKilled,
  oldAof,
  oldAofCold,
  oldAofPersisted,
  rebuiltUnderLoad,
  redisWiped,
  replicaPromoted,
} from "./loss.ts";
import { paymentsHang } from "./payments.ts";
import {
  commitAnswerLost,
  commitCut,
  leaseHolderFrozen,
  persisterFrozen,
  persisterKilled,
  persisterKilledAfterCommit,
  persisterKilledBeforeCommit,
} from "./persister.ts";
import { receiversFail } from "./receivers.ts";
import { answerLost, apiKilled, clocksShifted, memoryFull, redisKilled, redisSilent, scriptsFlushed } from "./redis.ts";
import { refundsRefused } from "./refused-refunds.ts";
import { chargeAnswerLost, gatewayKilled, postgresKilled, rollingRestart, workerKilled } from "./servers-and-roles.ts";
import { epochRaised, poisonEntry, redisOversells, staleRelease } from "./stock.ts";
import { webhooksShuffled } from "./webhooks.ts";

export const FAULTS: readonly Fault[] = [
  apiKilled,
  answerLost,
  redisKilled,
  redisSilent,
  // Early, as an operator rebuilds every sale that there is.
  redisWiped,
  oldAof,
  oldAofPersisted,
  oldAofCold,
  everysecKilled,
  aofTailCut,
  rebuiltUnderLoad,
  memoryFull,
  persisterKilled,
  persisterKilledBeforeCommit,
  persisterKilledAfterCommit,
  commitAnswerLost,
  commitCut,
  deadlocks,
  serializationFailures,
  postgresKilled,
  workerKilled,
  chargeAnswerLost,
  gatewayKilled,
  paymentsHang,
  workersKilledAtRandom,
  paidAfterExpiry,
  refundsUnderKills,
  refundsRefused,
  discountsKilledAtRandom,
  webhooksShuffled,
  receiversFail,
  scriptsFlushed,
  clocksShifted,
  persisterFrozen,
  leaseHolderFrozen,
  rollingRestart,
  redisOversells,
  epochRaised,
  staleRelease,
  poisonEntry,
  crashDraw,
  ...crashWalks,
  ...crashPoints,
  replicaPromoted,
];

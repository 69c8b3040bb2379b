// Every fault, in the order in which a run goes through them: the one that leaves the system on another server comes last.
import type { Fault } from "./fault.ts";
import {
  aofTailCut,
  everysecKilled,
  oldAof,
  oldAofPersisted,
  rebuiltUnderLoad,
  redisWiped,
  replicaPromoted,
} from "./loss.ts";
import {
  commitAnswerLost,
  commitCut,
  leaseHolderFrozen,
  persisterFrozen,
  persisterKilled,
  persisterKilledAfterCommit,
  persisterKilledBeforeCommit,
} from "./persister.ts";
import { answerLost, apiKilled, clocksShifted, memoryFull, redisKilled, redisSilent, scriptsFlushed } from "./redis.ts";
import { chargeAnswerLost, gatewayKilled, postgresKilled, rollingRestart, workerKilled } from "./servers-and-roles.ts";
import { epochRaised, poisonEntry, redisOversells, staleRelease } from "./stock.ts";

export const FAULTS: readonly Fault[] = [
  apiKilled,
  answerLost,
  redisKilled,
  redisSilent,
  memoryFull,
  persisterKilled,
  persisterKilledBeforeCommit,
  persisterKilledAfterCommit,
  commitAnswerLost,
  commitCut,
  postgresKilled,
  workerKilled,
  chargeAnswerLost,
  gatewayKilled,
  scriptsFlushed,
  clocksShifted,
  persisterFrozen,
  leaseHolderFrozen,
  rollingRestart,
  redisOversells,
  epochRaised,
  staleRelease,
  poisonEntry,
  rebuiltUnderLoad,
  redisWiped,
  oldAof,
  oldAofPersisted,
  everysecKilled,
  aofTailCut,
  replicaPromoted,
];

// A process' own entry among the instances: made when it is ready, kept up by a beat every two seconds, taken leave of at its
// end. It uses a connection of the process for one statement each time, and nothing waits for it: while Postgres is away beats
// are missing, and that is all.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { AckMode, Role } from "../config.ts";
import type { Queryable } from "../ledger/database.ts";
import type { Logger } from "../log.ts";
import { holderName, isGone } from "../process-identity.ts";
import { readBuild } from "./build.ts";
import type { Health } from "./health.ts";
import {
  BEAT_MS,
  forgetInstances,
  type InstanceBeat,
  type InstanceIdentity,
  listInstanceHolders,
  recordBeat,
  recordGone,
  recordGoodbye,
} from "./instances.ts";
import { LoadMeter, type RoleWork } from "./load.ts";

export interface RegistrationOptions {
  readonly role: Role;
  readonly db: Queryable;
  readonly log: Logger;
  /** Of an API process. */
  readonly ackMode?: AckMode;
  health(): Promise<Health>;
  work(): RoleWork;
  /** The version of the runtime configuration that is in force here. */
  configuration?(): number | undefined;
  /** Hears of each beat, whether or not it could be written. May not throw. */
  onBeat?(own: OwnInstance): void;
}

/** What a process knows of itself, whoever else does. */
export type OwnInstance = InstanceIdentity & InstanceBeat;

export interface Registration {
  /** Says good-bye; waits no longer than a second for Postgres. */
  stop(): Promise<void>;
}

const PARTITIONS_SHOWN_MAX = 100;
const GOODBYE_TIMEOUT_MS = 1_000;
/** Beats from one look for entries that are too old to the next. */
const BEATS_PER_CLEANING = 150;

/** Registers this process; resolves after its first beat, written or not. */
export async function registerInstance(options: RegistrationOptions): Promise<Registration> {
  const { db, log, role, ackMode = null } = options;
  const meter = new LoadMeter(() => options.work());
  const { pid, version: node } = process;
  const identity = { id: randomUUID(), role, host: hostname(), pid, ...(await readBuild()), node, ackMode };
  const holder = holderName();
  const ending = new AbortController();
  let beats = 0;
  let isHeard = true;

  async function beat(): Promise<void> {
    const { load, partitions } = meter.read();
    const own: InstanceBeat = {
      health: await options.health(),
      load,
      partitions: partitions.slice(0, PARTITIONS_SHOWN_MAX),
      configuration: options.configuration?.() ?? null,
    };
    try {
      await recordBeat(db, { ...identity, holder, uptimeMs: process.uptime() * 1_000 }, own);
      // A predecessor on this machine that was killed is not waited for.
      if (beats === 0) await recordGone(db, (await listInstanceHolders(db)).filter(isGone));
      if (beats % BEATS_PER_CLEANING === 0) await forgetInstances(db);
      beats += 1;
      isHeard = true;
    } catch (err) {
      if (isHeard) log.warn({ err }, "this process cannot be written down among the instances");
      isHeard = false;
    }
    options.onBeat?.({ ...identity, ...own });
  }

  async function beatOn(): Promise<void> {
    while (!ending.signal.aborted) {
      await sleep(BEAT_MS, undefined, { signal: ending.signal, ref: false }).catch(() => undefined);
      if (!ending.signal.aborted) await beat();
    }
  }

  await beat();
  const beating = beatOn();
  return {
    async stop() {
      ending.abort();
      meter.stop();
      const late = new AbortController();
      const goodbye = beating.then(() => recordGoodbye(db, identity.id)).catch(() => undefined); // it is missed instead
      await Promise.race([
        goodbye,
        sleep(GOODBYE_TIMEOUT_MS, undefined, { signal: late.signal }).catch(() => undefined),
      ]);
      late.abort();
    },
  };
}

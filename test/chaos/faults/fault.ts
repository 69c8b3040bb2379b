// What a fault is: how it is made, what proves that it happened, and what it may have changed.
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../../demo/random.ts";
import { scriptOf } from "../../../engine/redis/scripts.ts";
import type { Allowances, Books, Violation } from "../checker/books.ts";
import type { Minimum } from "../checker/check.ts";
import type { History } from "../history.ts";
import type { Sale } from "../shop.ts";
import type { RoleName, Settings, System } from "../system.ts";
import type { Load } from "../workload.ts";

export interface Stage {
  readonly system: System;
  readonly sale: Sale;
  readonly history: History;
  /** Drawn from the run's seed: the moments and the victims of the fault. */
  readonly random: Random;
  /** `short`: in the short run and under the mutants, where a fault that takes its time takes less. */
  readonly pace: Pace;
}

export type Pace = "short" | "full";

export interface Strike {
  /** How often the fault really happened, counted where it happened. */
  readonly fired: number;
  /** How often it had to; default: once. */
  readonly planned?: number;
  /** What shows that it did. */
  readonly evidence: string;
  /** When (by the history's clock) the last of it was mended; default: when the strike ended. */
  readonly healedAtMs?: number;
  /** What this one is allowed to have changed. */
  readonly allowances?: Allowances;
  /** What the fault's own row demands beyond the promises, as far as the strike saw it broken. */
  readonly broken?: readonly Violation[];
}

export interface Fault {
  readonly name: string;
  /** The row of the matrix: what happens, and what must happen then. */
  readonly title: string;
  /** Part of the short run. */
  readonly quick?: boolean;
  /** Part of the short run alone: the whole run has all that it is a part of. */
  readonly onlyQuick?: boolean;
  /** Run when it is named: a run over all of them has it as part of another. */
  readonly onlyByName?: boolean;
  readonly load?: Partial<Load>;
  readonly minimum?: Partial<Minimum>;
  /** Settings that roles run with during it. */
  readonly settings?: RoleSettings | ((system: System) => RoleSettings);
  /** What has to be there before the first order. */
  prepare?(stage: Stage): Promise<void>;
  /** Makes it happen while the rush is on, and mends it. */
  strike(stage: Stage): Promise<Strike>;
  /** What its row demands once everything is at rest, asked while the system runs. */
  atRest?(stage: Stage): Promise<readonly Violation[]>;
  /** What its row demands of the whole run. */
  verify?(stage: Stage, books: Books): readonly Violation[];
  /** What there is to tell about the run beside the evidence. */
  figures?(stage: Stage, books: Books): string;
  /** The system is of no use to the next fault. */
  readonly spoils?: boolean;
}

export type RoleSettings = Partial<Record<RoleName, Settings>>;

export function settingsOf({ settings = {} }: Pick<Fault, "settings">, system: System): RoleSettings {
  return typeof settings === "function" ? settings(system) : settings;
}

/** Bytes of a call of place.lua. */
export const PLACE_CALL = scriptOf("place").sha;

const POLL_MS = 5;

/** Waits for a condition, at most `timeoutMs`. @returns whether it came to be */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (await condition()) return true;
    await sleep(POLL_MS);
  }
  return false;
}

/** A pause of between half and one and a half times `ms`, drawn from the seed. */
export function pause(random: Random, ms: number): Promise<void> {
  return sleep(ms * (0.5 + random()));
}

/** The rush goes on: waits until `orders` more were accepted. */
export function untilMoreAccepted({ history }: Stage, orders: number, timeoutMs = 10_000): Promise<boolean> {
  const from = history.accepted;
  return until(() => history.accepted >= from + orders, timeoutMs);
}

/** A demand of a fault's own row that was not met. */
export function unmet(claim: string, detail: string, promise: Violation["promise"] = 3): Violation {
  return { promise, claim, detail };
}

// One process of a system under test: kept running as an instance's supervisor keeps it, and hit on request. While it is
// held down on purpose it stays down; a death that nobody ordered is counted, and it is started again.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ProcessSpec } from "../../../runtime/supervisor.ts";
import type { Lifeline } from "./lifeline.ts";

const RESTART_DELAY_MS = 100;
/** The very first time, a port that somebody took is not worth waiting for; later on, clients know the port. */
const FIRST_START_ATTEMPTS_MAX = 3;
const START_ATTEMPTS_MAX = 20;

export class FaultProcess {
  readonly name: string;
  /** Deaths that nobody ordered. */
  unexpectedDeaths = 0;
  readonly #spec: ProcessSpec;
  readonly #lifeline: Lifeline;
  #child: ChildProcess | undefined;
  #isWanted = false;
  #hasServed = false;
  #starting: Promise<void> | undefined;

  constructor(spec: ProcessSpec, lifeline: Lifeline) {
    this.name = spec.name;
    this.#spec = spec;
    this.#lifeline = lifeline;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it serves. */
  start(): Promise<void> {
    this.#isWanted = true;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** Starts it unless it runs. */
  async ensureRunning(): Promise<void> {
    if (this.#starting || !this.#child || hasEnded(this.#child)) await this.start();
  }

  /** Sends a signal that ends it, waits until it is gone, and leaves it down. @returns how long that took */
  async down(signal: NodeJS.Signals): Promise<{ ms: number; code: number | null }> {
    this.#isWanted = false;
    await this.#starting?.catch(() => undefined);
    const child = this.#child;
    if (!child || hasEnded(child)) return { ms: 0, code: child?.exitCode ?? null };
    const since = performance.now();
    const gone = once(child, "exit");
    child.kill(signal);
    if (signal !== "SIGKILL") child.kill("SIGCONT"); // a frozen process would not see the other
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#spec.stopTimeoutMs);
    await gone;
    clearTimeout(timer);
    return { ms: performance.now() - since, code: child.exitCode };
  }

  /** kill -9 without waiting for anything, not even for a start that is under way. It stays down. */
  killNow(): void {
    this.#isWanted = false;
    this.#child?.kill("SIGKILL");
  }

  /** An orderly stop, as a rolling restart does it. */
  stop(): Promise<{ ms: number; code: number | null }> {
    return this.down(this.#spec.stopSignal);
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async #start(): Promise<void> {
    const attemptsMax = this.#hasServed ? START_ATTEMPTS_MAX : FIRST_START_ATTEMPTS_MAX;
    for (let attempt = 1; ; attempt += 1) {
      const child = this.#spec.spawn();
      this.#child = child;
      child.on("error", () => undefined); // `ready` reports it
      this.#lifeline.hold(child);
      try {
        await this.#spec.ready(child);
        this.#hasServed = true;
        child.once("exit", () => this.#onExit(child));
        if (hasEnded(child)) this.#onExit(child);
        return;
      } catch (error) {
        if (!hasEnded(child)) child.kill("SIGKILL");
        if (!this.#isWanted || attempt === attemptsMax) throw error;
        await sleep(RESTART_DELAY_MS * attempt);
      }
    }
  }

  #onExit(child: ChildProcess): void {
    if (!this.#isWanted || this.#child !== child) return;
    this.unexpectedDeaths += 1;
    setTimeout(() => {
      if (this.#isWanted) this.start().catch(() => undefined); // it is missed by whoever needs it
    }, RESTART_DELAY_MS);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

// Keeps one process running: starts it, waits until it serves, starts it again when it dies, gives up when it keeps dying,
// and ends it when asked.
//
//   idle -> starting -> running -> backoff -> starting ...        a death while running, within the limit; one because
//                                                                 Redis or Postgres went away does not count
//                  \           \-> failed                         too many deaths
//                   \-> failed                                    the very first start did not succeed
//   any  -> stopping -> stopped                                   stop(); SIGKILL after the grace
import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { SERVERS_AWAY_EXIT_CODE } from "../engine/service.ts";
import { messageOf, StartFailure } from "./failure.ts";

/** What a supervised process is. */
export type ProcessSpec = {
  name: string;
  spawn(): ChildProcess;
  /** Resolves when the process serves, rejects when it will not; is not asked again for the same process. */
  ready(child: ChildProcess): Promise<void>;
  stopSignal: NodeJS.Signals;
  /** How long it gets to end by itself. */
  stopTimeoutMs: number;
};

export type SupervisorEvents = {
  /** A process was started; it may not be ready yet. */
  started(name: string, pid: number): void;
  /** A process that was ready died and is going to be started again. */
  died(name: string, how: string, restartInMs: number): void;
  /** A process that had died serves again. */
  recovered(name: string): void;
  /** It keeps dying: the supervisor has given up on it. */
  failed(name: string, reason: string): void;
};

/** More deaths than this within the window, and another try would not help. */
export const DEATHS_MAX = 5;
export const DEATHS_WINDOW_MS = 60_000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MS_MAX = 5_000;
/** Before another try after a death that does not count. */
const SERVERS_AWAY_BACKOFF_MS = 1_000;

type State = "idle" | "starting" | "running" | "backoff" | "stopping" | "stopped" | "failed";

export class SupervisedProcess {
  readonly name: string;
  readonly #spec: ProcessSpec;
  readonly #events: SupervisorEvents;
  readonly #stopRequested = new AbortController();
  #state: State = "idle";
  #child: ChildProcess | undefined;
  #deaths: number[] = [];
  #restarting: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(spec: ProcessSpec, events: SupervisorEvents) {
    this.name = spec.name;
    this.#spec = spec;
    this.#events = events;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and resolves when it serves. A first start that fails is not tried again. */
  async start(): Promise<void> {
    const child = this.#launch();
    try {
      await this.#spec.ready(child);
    } catch (error) {
      if (this.#state === "starting") this.#state = "failed";
      await this.#end(child);
      throw error;
    }
    this.#watch(child);
  }

  /** Ends it and resolves when it is gone. Also ends a restart that is under way. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Ends it at once, without the grace. */
  kill(): void {
    if (this.#child && !hasEnded(this.#child)) this.#child.kill("SIGKILL");
  }

  async #stop(): Promise<void> {
    this.#state = "stopping";
    this.#stopRequested.abort();
    if (this.#child) await this.#end(this.#child);
    await this.#restarting;
    this.#state = "stopped";
  }

  #launch(): ChildProcess {
    this.#state = "starting";
    const child = this.#spec.spawn();
    this.#child = child;
    // Without a listener a failure to spawn would be an uncaught exception; `ready` reports it.
    child.on("error", () => undefined);
    if (child.pid !== undefined) this.#events.started(this.name, child.pid);
    return child;
  }

  #watch(child: ChildProcess): void {
    if (this.#state !== "starting") return;
    this.#state = "running";
    if (hasEnded(child)) this.#onDeath(child);
    else child.once("exit", () => this.#onDeath(child));
  }

  #onDeath(child: ChildProcess): void {
    if (this.#state !== "running") return;
    this.#restarting = this.#restart(howItEnded(child), child);
  }

  async #restart(firstDeath: string, dead: ChildProcess): Promise<void> {
    let last = dead;
    for (let how = firstDeath; this.#mayTryAgain(how, last); ) {
      const restartInMs = diedOfServers(last)
        ? SERVERS_AWAY_BACKOFF_MS
        : Math.min(BACKOFF_FIRST_MS * 2 ** (this.#deaths.length - 1), BACKOFF_MS_MAX);
      this.#state = "backoff";
      this.#events.died(this.name, how, restartInMs);
      await delay(restartInMs, undefined, { signal: this.#stopRequested.signal }).catch(() => undefined);
      if (this.#stopRequested.signal.aborted) return;

      const child = this.#launch();
      try {
        await this.#spec.ready(child);
        this.#events.recovered(this.name);
        this.#watch(child);
        return;
      } catch (error) {
        await this.#end(child);
        last = child;
        how = messageOf(error);
      }
    }
  }

  #mayTryAgain(how: string, dead: ChildProcess): boolean {
    if (this.#stopRequested.signal.aborted) return false;
    if (diedOfServers(dead)) return true;
    const now = performance.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < DEATHS_WINDOW_MS), now];
    if (this.#deaths.length < DEATHS_MAX) return true;
    this.#state = "failed";
    this.#events.failed(
      this.name,
      `died ${DEATHS_MAX} times within ${DEATHS_WINDOW_MS / 1000} s; the last time: ${how}`,
    );
    return false;
  }

  async #end(child: ChildProcess): Promise<void> {
    if (child.pid === undefined || hasEnded(child)) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(this.#spec.stopSignal);
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#spec.stopTimeoutMs);
    await gone;
    clearTimeout(timer);
  }
}

/**
 * Resolves when the child says that it is ready; rejects when it ends first, or does not within the time. While it says that
 * it waits for its servers, it has all the time there is. `onReady` gets what it said.
 */
export function untilChildSaysReady(
  child: ChildProcess,
  name: string,
  timeoutMs: number,
  onReady: (message: { url?: string }) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => settle(() => reject(new StartFailure(`${name} did not start: ${reason}.`)));
    let timer: NodeJS.Timeout | undefined;
    const limitTime = () => {
      clearTimeout(timer);
      timer = setTimeout(() => fail(`not ready within ${timeoutMs / 1000} s`), timeoutMs);
    };
    limitTime();
    const onExit = () => fail(howItEnded(child));
    const onError = (error: Error) => fail(error.message);
    const onMessage = (message: unknown) => {
      if (typeOf(message) === "waiting") clearTimeout(timer);
      if (typeOf(message) === "starting") limitTime();
      if (!isReadyMessage(message)) return;
      settle(() => {
        onReady(message);
        resolve();
      });
    };
    const settle = (then: () => void) => {
      clearTimeout(timer);
      child.off("exit", onExit).off("error", onError).off("message", onMessage);
      then();
    };
    child.on("exit", onExit).on("error", onError).on("message", onMessage);
  });
}

function isReadyMessage(message: unknown): message is { type: "ready"; url?: string } {
  return typeOf(message) === "ready";
}

function typeOf(message: unknown): unknown {
  return typeof message === "object" && message !== null && "type" in message ? message.type : undefined;
}

function diedOfServers(child: ChildProcess): boolean {
  return child.exitCode === SERVERS_AWAY_EXIT_CODE;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function howItEnded(child: ChildProcess): string {
  return child.signalCode ? `ended by ${child.signalCode}` : `exit code ${child.exitCode}`;
}

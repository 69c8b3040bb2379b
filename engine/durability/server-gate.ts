// Stands between orders and a Redis that has not shown that it keeps what ACK_MODE promises. It is closed from the start and
// from every break of the connection, because what answers afterwards may be another server, or the same one started
// with other settings; it opens once the settings were read and fit. A server that does not fit is looked at again every
// second, one that does every ten, so that neither mending it nor a CONFIG SET needs a restart of this process.
import type { Redis } from "ioredis";
import type { AckMode } from "../config.ts";
import { type Judgement, judgeServer, type ServerLevel } from "./requirements.ts";
import { readServerSettings } from "./server-settings.ts";

/** Something that an operator should read, once each time that it changes. */
export interface ServerNotice {
  readonly severity: "info" | "warn" | "error";
  readonly message: string;
}

export type GateClosed = "REDIS_UNCHECKED" | "REDIS_UNSAFE";

export interface ServerGateOptions {
  /** The connection that orders take. */
  readonly redis: Redis;
  readonly ackMode: AckMode;
  readonly onNotice: (notice: ServerNotice) => void;
  /** Runs before the gate opens to another run of the server than the last one; a rejection keeps it closed. */
  readonly onServerChanged: (change: ServerChange) => Promise<void>;
  readonly timings?: Partial<GateTimings>;
}

export interface ServerChange {
  /** `undefined` where the server does not tell, and before the first one. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export interface GateTimings {
  /** Between looks at a server that does not fit or did not answer. */
  readonly retryMs: number;
  /** Between looks at a server that fits. */
  readonly recheckMs: number;
}

const TIMINGS: GateTimings = { retryMs: 1_000, recheckMs: 10_000 };
const UNCHECKED = "The settings of this Redis have not been read yet.";

export class ServerGate {
  readonly #options: ServerGateOptions;
  readonly #timings: GateTimings;
  #closed: GateClosed | undefined = "REDIS_UNCHECKED";
  #reason: string | undefined = UNCHECKED;
  #level: ServerLevel = "fast";
  /** Counts connections: what was read on an earlier one says nothing of this one. */
  #connection = 0;
  /** The connection on which a check is under way. */
  #checking: number | undefined;
  #passed = false;
  #runId: string | undefined;
  #said: string | undefined;
  #saidUnverified: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ServerGateOptions) {
    this.#options = options;
    this.#timings = { ...TIMINGS, ...options.timings };
  }

  /** Makes the first check, which may fail, and keeps checking. Never rejects for what the server does. */
  async start(): Promise<void> {
    this.#options.redis.on("close", this.#onClose);
    this.#options.redis.on("ready", this.#onReady);
    await this.#check();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#options.redis.off("close", this.#onClose);
    this.#options.redis.off("ready", this.#onReady);
  }

  /** Why no order may go to the server at the moment; `undefined` when one may. */
  get closed(): GateClosed | undefined {
    return this.#closed;
  }

  /** The same as a sentence for operators. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** What the server's own disk gives; to be believed only while the gate is open. */
  get level(): ServerLevel {
    return this.#level;
  }

  // The client tells of the break before it connects again, so that no order slips through to the next server unseen.
  readonly #onClose = () => {
    this.#connection += 1;
    this.#close("REDIS_UNCHECKED", UNCHECKED);
  };

  readonly #onReady = () => void this.#check();

  async #check(): Promise<void> {
    const connection = this.#connection;
    if (this.#checking === connection || this.#stopped) return;
    this.#checking = connection;
    clearTimeout(this.#timer);
    try {
      const settings = await readServerSettings(this.#options.redis);
      if (this.#isOver(connection)) return;
      const judgement = judgeServer(settings, this.#options.ackMode);
      if (judgement.problems.length > 0) {
        this.#refuse(judgement);
      } else {
        await this.#changed(settings.runId);
        if (this.#isOver(connection)) return;
        this.#open(judgement);
      }
    } catch (error) {
      // Not answered: what is known of this connection stays as it is, closed after a break and open otherwise.
      if (this.#isOver(connection)) return;
      if (this.#closed) this.#say("warn", `Redis could not be checked, no order is admitted: ${messageOf(error)}`);
    } finally {
      if (this.#checking === connection) this.#checking = undefined;
    }
    this.#timer = setTimeout(
      () => void this.#check(),
      this.#closed ? this.#timings.retryMs : this.#timings.recheckMs,
    ).unref();
  }

  /** Whether the connection that a check began on is gone; the next one has a check of its own. */
  #isOver(connection: number): boolean {
    return this.#stopped || connection !== this.#connection;
  }

  async #changed(runId: string | undefined): Promise<void> {
    // A server that does not tell its run may be another one after each break.
    if (this.#passed && (runId === undefined ? !this.#closed : runId === this.#runId)) return;
    await this.#options.onServerChanged({ from: this.#runId, to: runId });
    this.#runId = runId;
    this.#passed = true;
  }

  #refuse({ problems }: Judgement): void {
    const reason = `Redis does not fit: ${problems.join("; ")}.`;
    this.#close("REDIS_UNSAFE", reason);
    this.#say("error", `${reason} No order is admitted until that is mended.`);
  }

  #open({ unverified, level }: Judgement): void {
    const { ackMode } = this.#options;
    this.#closed = undefined;
    this.#reason = undefined;
    this.#level = level;
    if (this.#said !== undefined)
      this.#options.onNotice({ severity: "info", message: "Redis fits; orders are admitted." });
    this.#said = undefined;
    if (unverified.length === 0) return;
    const message = `Redis does not tell ${unverified.join(", ")}: what ACK_MODE=${ackMode} needs of it could not be checked, and "acknowledged" says ${level}.`;
    if (message === this.#saidUnverified) return;
    this.#saidUnverified = message;
    this.#options.onNotice({ severity: "warn", message });
  }

  #close(closed: GateClosed, reason: string): void {
    this.#closed = closed;
    this.#reason = reason;
    this.#level = "fast";
  }

  #say(severity: "warn" | "error", message: string): void {
    if (message === this.#said) return;
    this.#said = message;
    this.#options.onNotice({ severity, message });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

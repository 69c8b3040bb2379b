// Waiting for replicas: one WAIT a batch, in the same write as the batch's script, because WAIT speaks for what its own
// connection wrote before it. It costs no round trip of its own, and the replicas' answer is shared by the whole batch.
//
// WAIT blocks its connection, and every call behind it. A replica that hangs must cost that once, not for each batch:
// only one wait at a time, and none within a while of a shortfall, is given the whole timeout; the others get a tenth.
import type { Redis } from "ioredis";
import { scriptOf } from "../redis/scripts.ts";
import type { ServerLevel } from "./requirements.ts";
import { mayWaitForAof } from "./server-settings.ts";

export interface ReplicationOptions {
  /** Replicas that must have a batch for its orders to be called replicated; at least 1. */
  readonly replicasRequired: number;
  /** Well below the connection's command timeout. */
  readonly waitMs: number;
}

export const REPLICATION_DEFAULTS: ReplicationOptions = { replicasRequired: 1, waitMs: 1_000 };

/** After a shortfall, how long waits are kept short. */
const CAUTIOUS_MS = 5_000;
const SHORT_WAIT_PART = 0.1;

export class ReplicationWait {
  readonly #options: ReplicationOptions;
  readonly #onChange: (isShort: boolean, replicas: number) => void;
  #waiting = 0;
  #cautiousUntil = 0;
  #isShort = false;
  #waitsForAof = false;

  /** @param onChange told when batches begin to fall short of the replicas, and when they stop to */
  constructor(options: ReplicationOptions, onChange: (isShort: boolean, replicas: number) => void) {
    this.#options = options;
    this.#onChange = onChange;
  }

  /** Finds out what the server can wait for; after each change of the server. */
  async adapt(redis: Redis): Promise<void> {
    this.#waitsForAof = await mayWaitForAof(redis);
  }

  /**
   * Runs a script, and says whether enough replicas have what it wrote.
   *
   * @param level what the server's own disk gives: one that syncs every write asks its replicas' disks too, by WAITAOF
   *   (they need `appendfsync always` as well, or each batch takes their second)
   * @throws what the script's call throws; a wait that fails is a shortfall
   */
  async run(
    redis: Redis,
    script: "place",
    keys: readonly string[],
    args: readonly (string | number)[],
    level: ServerLevel,
  ): Promise<{ reply: unknown; isReplicated: boolean }> {
    const { sha, source } = scriptOf(script);
    const first = await this.#runWith("EVALSHA", redis, sha, keys, args, level);
    if (!(first.error instanceof Error) || !first.error.message.startsWith("NOSCRIPT")) return unwrap(first);
    // Said before anything ran: asking again is safe.
    return unwrap(await this.#runWith("EVAL", redis, source, keys, args, level));
  }

  async #runWith(
    command: "EVALSHA" | "EVAL",
    redis: Redis,
    script: string,
    keys: readonly string[],
    args: readonly (string | number)[],
    level: ServerLevel,
  ): Promise<{ error: Error | null; reply: unknown; isReplicated: boolean }> {
    const { replicasRequired } = this.#options;
    const timeoutMs = this.#timeoutMs();
    this.#waiting += 1;
    try {
      const batch = redis.pipeline().call(command, script, keys.length, ...keys, ...args);
      const results =
        this.#waitsForAof && level === "fsync"
          ? await batch.call("WAITAOF", 0, replicasRequired, timeoutMs).exec()
          : await batch.call("WAIT", replicasRequired, timeoutMs).exec();
      const [ran, waited] = results ?? [];
      if (!ran || !waited) throw new Error("no answer to a batch");
      const isRefused = ran[0] !== null;
      return { error: ran[0], reply: ran[1], isReplicated: !isRefused && this.#judge(waited[1]) };
    } finally {
      this.#waiting -= 1;
    }
  }

  #timeoutMs(): number {
    const { waitMs } = this.#options;
    const isAlone = this.#waiting === 0 && performance.now() >= this.#cautiousUntil;
    // 0 would wait for ever.
    return isAlone ? waitMs : Math.max(1, Math.round(waitMs * SHORT_WAIT_PART));
  }

  /** WAIT answers a number of replicas; WAITAOF that of local disks and that of replicas. */
  #judge(answer: unknown): boolean {
    const count = Number(Array.isArray(answer) ? answer[1] : answer);
    const replicas = Number.isInteger(count) ? count : 0;
    const isShort = replicas < this.#options.replicasRequired;
    const now = performance.now();
    if (!isShort) this.#cautiousUntil = 0;
    // Not prolonged by the short waits: every few seconds one is given its whole time again.
    else if (now >= this.#cautiousUntil) this.#cautiousUntil = now + CAUTIOUS_MS;
    if (isShort !== this.#isShort) {
      this.#isShort = isShort;
      this.#onChange(isShort, replicas);
    }
    return !isShort;
  }
}

function unwrap({ error, reply, isReplicated }: { error: Error | null; reply: unknown; isReplicated: boolean }) {
  if (error) throw error;
  return { reply, isReplicated };
}

// Durability of an order's acceptance: which server may be asked to hold it, and what its acknowledgement may say. Every
// call of place.lua goes through here; how the call is batched and repeated is admission's matter.
import type { Redis } from "ioredis";
import type { AckMode } from "../config.ts";
import { runScript } from "../redis/scripts.ts";
import { REPLICATION_DEFAULTS, type ReplicationOptions, ReplicationWait } from "./replication.ts";
import { type GateClosed, type GateTimings, type ServerChange, ServerGate, type ServerNotice } from "./server-gate.ts";

/** An answer of place.lua, and how durable it is. */
export interface PlaceReply {
  readonly reply: unknown;
  /** The level of what this call wrote. */
  readonly written: AckMode;
  /** The level of what an earlier call wrote, of which this one only told. */
  readonly found: AckMode;
}

/** Calls place.lua once. @throws ServerClosedError when nothing was sent; what the connection throws otherwise */
export type PlaceCall = (keys: readonly string[], args: readonly (string | number)[]) => Promise<PlaceReply>;

/** Calls a server as it is, for tools that admit nothing for a shop: what is not checked is called fast. */
export function uncheckedCall(redis: Redis): PlaceCall {
  return async (keys, args) => ({ reply: await runScript(redis, "place", keys, args), written: "fast", found: "fast" });
}

/** The server has not shown that it keeps what ACK_MODE promises; nothing was sent to it. */
export class ServerClosedError extends Error {
  readonly closed: GateClosed;

  constructor(closed: GateClosed) {
    super(`no order is sent to this Redis: ${closed}`);
    this.name = "ServerClosedError";
    this.closed = closed;
  }
}

export interface DurabilityOptions {
  readonly redis: Redis;
  readonly ackMode: AckMode;
  readonly replication?: Partial<ReplicationOptions>;
  readonly onNotice?: (notice: ServerNotice) => void;
  /** Runs before orders go to another run of the server; a rejection keeps them away from it. */
  readonly onServerChanged?: (change: ServerChange) => Promise<void>;
  readonly timings?: Partial<GateTimings>;
}

export class Durability {
  readonly server: ServerGate;
  readonly #redis: Redis;
  readonly #ackMode: AckMode;
  readonly #replication: ReplicationWait | undefined;

  constructor(options: DurabilityOptions) {
    const { redis, ackMode, onNotice = () => undefined, onServerChanged, timings } = options;
    this.#redis = redis;
    this.#ackMode = ackMode;
    const replication = { ...REPLICATION_DEFAULTS, ...options.replication };
    this.#replication =
      ackMode === "replicated"
        ? new ReplicationWait(replication, (isShort, replicas) =>
            onNotice(isShort ? shortOf(replication, replicas) : REPLICATED_AGAIN),
          )
        : undefined;
    this.server = new ServerGate({
      redis,
      ackMode,
      onNotice,
      onServerChanged: async (change) => {
        await this.#replication?.adapt(redis);
        await onServerChanged?.(change);
      },
      ...(timings && { timings }),
    });
  }

  /** What an order is acknowledged as that Redis holds and nobody waited for: never more than is known. */
  get level(): AckMode {
    return this.#ackMode === "fast" ? "fast" : this.server.level;
  }

  /** {@link PlaceCall} under this durability. */
  readonly place: PlaceCall = async (keys, args) => {
    const { closed, level } = this.server;
    // A connection that is down fails by itself, and says more.
    if (closed && this.#redis.status === "ready") throw new ServerClosedError(closed);
    if (!this.#replication) {
      const reply = await runScript(this.#redis, "place", keys, args);
      return { reply, written: this.level, found: this.level };
    }
    const { reply, isReplicated } = await this.#replication.run(this.#redis, "place", keys, args, level);
    // WAIT speaks for this connection's writes alone: what an earlier call wrote may have come over another one.
    return { reply, written: isReplicated ? "replicated" : this.level, found: this.level };
  };
}

const REPLICATED_AGAIN: ServerNotice = { severity: "info", message: "Orders reach the replicas again." };

function shortOf({ replicasRequired, waitMs }: ReplicationOptions, replicas: number): ServerNotice {
  const message = `Orders reached ${replicas} of ${replicasRequired} replicas within ${waitMs} ms: they are accepted, and "acknowledged" says less than replicated.`;
  return { severity: "warn", message };
}

// What the API works with, handed in by main.ts or by a test. No module of the API reaches for anything else.
import type { Redis } from "ioredis";
import type pg from "pg";
import type { CopiesConnection } from "../engine/catalogue/read-model/connection.ts";
import type { RoleConfig } from "../engine/config.ts";
import type { RunningConfiguration } from "../engine/configuration/follower.ts";
import type { Engine } from "../engine/engine.ts";
import type { InstanceView } from "../engine/instances/view.ts";
import type { Logger } from "../engine/log.ts";
import type { Outbox } from "../engine/outbox/outbox.ts";
import type { SigningKey } from "../engine/proof/key.ts";
import type { StatusCounters } from "./ws/counters.ts";

export type ApiConfig = Pick<
  RoleConfig,
  | "corsOrigins"
  | "guestOrders"
  | "jwtSecret"
  | "jwtSecretPrevious"
  | "paymentGateway"
  | "paymentWebhookSecrets"
  | "rateLimit"
  | "receiptSecret"
  | "receiptSecretPrevious"
  | "reservationTtlMs"
  | "trustedProxies"
  | "webhookAllowPrivate"
>;

export interface ApiDependencies {
  readonly config: ApiConfig;
  /** What changes while the process runs; without it that is what `config` says. */
  readonly configuration?: RunningConfiguration | undefined;
  readonly log: Logger;
  /** Started. */
  readonly engine: Engine;
  readonly pool: pg.Pool;
  /** A command connection, connected; may be the engine's own. */
  readonly redis: Redis;
  /** For what may be lost: carts, copies of products. May be the same. */
  readonly cacheRedis: Redis;
  /** Started: where copies of products are read. Without it every read of a product asks Postgres. */
  readonly copies?: CopiesConnection | undefined;
  readonly outbox: Outbox;
  /** Told of the process' own beats; without it what is shown comes from Postgres or not at all. */
  readonly instances?: InstanceView | undefined;
  /** Signs conservation proofs; without it there are none over HTTP. */
  readonly proofKey?: SigningKey | undefined;
  /** What the status server counts, for `/metrics`. */
  readonly statusCounters?: StatusCounters;
  /** False once the process is asked to stop: `/readyz` tells the load balancer first. */
  readonly isStopping?: () => boolean;
}

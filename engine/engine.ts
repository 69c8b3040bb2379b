// The engine: places orders. It prices an order by the sale, finds the buyer's partition, hands it to admission, and says
// truthfully what became of it. The HTTP API is one user of this; a program can be another.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type pg from "pg";
import { ADMISSION_DEFAULTS, Admission, type AdmissionOptions } from "./admission/admission.ts";
import type { Accepted, PlaceOutcome } from "./admission/place.ts";
import { type Refused, refusalOf } from "./admission/refusal.ts";
import { SoldOutMemory } from "./admission/sold-out.ts";
import { partitionOf } from "./buyer.ts";
import { CATALOG_SALE_ID, type PartitionEpoch } from "./catalogue/sales.ts";
import { CatalogueView, type SaleView } from "./catalogue/view.ts";
import type { AckMode } from "./config.ts";
import type { Coupon } from "./coupons/coupon.ts";
import { supplyCoupon } from "./coupons/supply.ts";
import { CouponView } from "./coupons/view.ts";
import { CommitWaiter } from "./durability/commits.ts";
import { Durability } from "./durability/durability.ts";
import { findLostPartitions, livePartitions, noticeOf, reasonOf } from "./durability/regression.ts";
import type { ReplicationOptions } from "./durability/replication.ts";
import type { ServerNotice } from "./durability/server-gate.ts";
import { OnrushError } from "./errors.ts";
import { idempotencyOf } from "./idempotency.ts";
import type { Partition } from "./keys.ts";
import { suspendPartition } from "./ledger/log.ts";
import {
  type Address,
  boughtLines,
  type DiscountsView,
  type OrderLine,
  type OrderPayload,
  type PaymentMethod,
  representDiscounts,
} from "./order.ts";
import { makeOrderId } from "./order-id.ts";
import type { OrderStatus } from "./order-state.ts";
import { checkBalance } from "./points/look.ts";
import { type CouponUse, priceOrder } from "./pricing.ts";
import { signReceipt } from "./receipt.ts";
import { AcknowledgedLog } from "./recovery/acknowledged.ts";
import { RedisClock } from "./redis/clock.ts";
import { loadScripts, scriptOf } from "./redis/scripts.ts";
import { RefusalRing } from "./refusals/ring.ts";
import { nextRequestId } from "./request-id.ts";
import { KnownPositions } from "./stock/known-positions.ts";
import { PartitionStock } from "./stock/partition-stock.ts";
import { StockTransfers } from "./stock/transfers.ts";

/** An order as its buyer wants it. Quantities are whole and positive; validated at the edge. */
export interface OrderRequest {
  readonly saleId?: string | undefined;
  readonly customerId: string;
  readonly items: readonly { productId: string; quantity: number; price?: number | undefined }[];
  /** What the buyer believes the total to be; only compared. */
  readonly price?: number | undefined;
  readonly payment?: { method: PaymentMethod; token?: string | undefined } | undefined;
  readonly address?: Address | undefined;
  /** Coupons and points are members': whose the order is, is the caller's to know. */
  readonly couponCode?: string | undefined;
  /** To be spent on it; each is one minor unit of the shop's default currency. */
  readonly points?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  /** What the key belongs to: keys of different routes are different keys. Default: `POST /orders`. */
  readonly route?: string | undefined;
}

/** An order that holds its units until `reservedUntil`. Amounts in minor units of `currency`. */
export interface PlacedOrder extends DiscountsView {
  readonly type: "placed";
  readonly orderId: string;
  /** `PENDING`, or what was committed when the commit was waited for. */
  readonly status: OrderStatus;
  readonly saleId: string;
  readonly customerId: string;
  readonly items: readonly OrderLine[];
  readonly price: number;
  readonly payable: number;
  readonly currency: string;
  readonly reservedUntil: Date;
  /** The durability that the acknowledgement reached. */
  readonly acknowledged: AckMode;
  readonly receipt: string;
}

/** The idempotency key led to this order before. */
export interface ReplayedOrder {
  readonly type: "replayed";
  readonly orderId: string;
}

export interface EngineOptions {
  /** A command connection (see redis/connection.ts), connected. */
  readonly redis: Redis;
  readonly pool: pg.Pool;
  readonly receiptSecret: string;
  readonly ackMode: AckMode;
  /** Under `replicated`: how many replicas, and how long they are waited for. */
  readonly replication?: Partial<ReplicationOptions>;
  /** Under `postgres`: how long a commit is waited for; default {@link POSTGRES_WAIT_MS}. */
  readonly postgresWaitMs?: number;
  readonly admission?: Partial<AdmissionOptions>;
  readonly onError?: (error: unknown) => void;
  /** Hears whether Redis fits `ackMode`. */
  readonly onNotice?: (notice: ServerNotice) => void;
  /** Wall clock in ms; only stamps ids, decides nothing. */
  readonly now?: () => number;
}

export interface PlaceWishes {
  /** Waits so long for the order's commit in Postgres, whatever the mode; 0: not at all. */
  readonly waitForPostgresMs?: number | undefined;
}

export const POSTGRES_WAIT_MS = 5_000;
/** A line that no sale has. */
const NOTHING_SOLD = [{ productId: "-", quantity: 1 }] as const;
const PLACE_VERSION = scriptOf("place").version;

export class Engine {
  readonly catalogue: CatalogueView;
  readonly positions = new KnownPositions();
  readonly stock: PartitionStock;
  readonly admission: Admission;
  readonly durability: Durability;
  /** Told by whoever hears `CHANNELS.orders` what was committed; without that it asks Postgres now and then. */
  readonly commits: CommitWaiter;
  /** Told by whoever hears `CHANNELS.stock` that a partition's stock came back. */
  readonly soldOut = new SoldOutMemory();
  readonly refusals: RefusalRing;
  readonly coupons: CouponView;
  /** Redis' clock, which every answer of a placed order tells. */
  readonly clock: RedisClock;
  readonly transfers: StockTransfers;
  readonly #acknowledged: AcknowledgedLog;
  readonly #options: EngineOptions;
  readonly #now: () => number;
  /** How long the commit of every order is waited for. */
  readonly #postgresWaitMs: number;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { redis, pool, ackMode, replication, onError = () => undefined, onNotice = () => undefined } = options;
    this.#postgresWaitMs = ackMode === "postgres" ? (options.postgresWaitMs ?? POSTGRES_WAIT_MS) : 0;
    this.catalogue = new CatalogueView(pool, onError);
    this.commits = new CommitWaiter(pool, onError);
    this.refusals = new RefusalRing(pool, { onError });
    this.stock = new PartitionStock(redis, this.positions);
    this.coupons = new CouponView(pool, () => this.catalogue.version);
    this.clock = new RedisClock(redis);
    this.transfers = new StockTransfers(pool, this.stock, onError);
    this.durability = new Durability({
      redis,
      ackMode,
      ...(replication && { replication }),
      onNotice,
      onServerChanged: async () => {
        const live = await livePartitions(pool, () => this.catalogue.sales());
        const lost = await findLostPartitions(live, this.stock, this.positions);
        if (lost.length === 0) return;
        onNotice(noticeOf(lost));
        for (const at of lost) await this.#suspend(at, reasonOf(at), at.known.epoch);
      },
    });
    this.#acknowledged = new AcknowledgedLog(randomUUID(), pool, onError);
    this.admission = new Admission(this.durability.place, this.positions, {
      ...ADMISSION_DEFAULTS,
      ...options.admission,
      onTime: (redisMs) => this.clock.learn(redisMs),
      onDecided: (at, epoch, placements, outcomes) => {
        this.#acknowledged.noteOutcomes(at, placements, outcomes);
        this.#noteLoss(at, epoch, outcomes[0]);
      },
    });
  }

  /** Loads the scripts and the catalogue, and looks at the server; one that does not fit `ackMode` gets no orders. */
  async start(): Promise<void> {
    await Promise.all([loadScripts(this.#options.redis), this.catalogue.start()]);
    await this.durability.server.start();
    this.#acknowledged.start();
    this.refusals.start();
  }

  /** Resolves when what was noted is in Postgres, or a moment later without it. */
  async stop(): Promise<void> {
    this.catalogue.stop();
    this.#acknowledged.stop();
    this.durability.server.stop();
    this.commits.stop();
    await this.refusals.stop();
  }

  /**
   * Reserves the order's units, or says why not.
   *
   * @throws OnrushError with `NOT_FOUND`, `VALIDATION`, `PRICE_MISMATCH`, `SALE_NOT_OPEN`, `SOLD_OUT`, `LIMIT_EXCEEDED`,
   *   `COUPON_INVALID`, `COUPON_EXHAUSTED`, `COUPON_LIMIT_EXCEEDED`,
   *   `INSUFFICIENT_POINTS`, `IDEMPOTENCY_CONFLICT`, `STOCK_UNAVAILABLE`, `OVERLOADED` (nothing was taken), or
   *   `OUTCOME_UNKNOWN` (the order in `facts.orderTrackingId` stands if it was accepted). For an order with points also what
   *   Postgres throws when it cannot be asked: nothing was taken
   */
  place(request: OrderRequest, wishes?: PlaceWishes): Promise<PlacedOrder | ReplayedOrder> {
    return request.couponCode === undefined
      ? this.#place(request, wishes)
      : this.#placeWithCoupon(request, request.couponCode, wishes);
  }

  async #placeWithCoupon(
    request: OrderRequest,
    couponCode: string,
    wishes: PlaceWishes | undefined,
  ): Promise<PlacedOrder | ReplayedOrder> {
    this.#saleOf(request);
    const use = { coupon: await this.coupons.find(couponCode), nowMs: await this.clock.nowMs() };
    try {
      return await this.#place(request, wishes, use);
    } catch (error) {
      // The key of an order that was accepted while the coupon was good leads to that order still.
      const isJudged = error instanceof OnrushError && error.code === "COUPON_INVALID";
      const earlier = isJudged && request.idempotencyKey !== undefined && (await this.#findEarlier(request));
      if (!earlier) throw error;
      return earlier;
    }
  }

  // Nearly every order comes this way, so it waits once: for Redis.
  async #place(
    request: OrderRequest,
    wishes: PlaceWishes | undefined,
    use?: CouponUse,
  ): Promise<PlacedOrder | ReplayedOrder> {
    const sale = this.#saleOf(request);
    const payload = priceOrder(sale, request, use);
    const at = { saleId: sale.id, partition: partitionOf(request.customerId, sale.partitions) };
    const coupon = use?.coupon;
    const refuse = (outcome: Refused, by: "memory" | "process", orderId: string | null = null) =>
      this.#refuse(outcome, sale, at, request.customerId, by, orderId, coupon);
    const state = sale.partitionEpochs[at.partition];
    if (state?.state !== "live") throw refuse({ type: "STOCK_UNAVAILABLE", cause: state?.state ?? "new" }, "process");
    if (request.idempotencyKey === undefined) {
      const short = this.soldOut.refuses(at, payload.lines);
      if (short) throw refuse({ type: "SOLD_OUT", ...short }, "memory");
    }
    const points = payload.discounts?.points;
    if (points !== undefined) {
      const { pool: db, redis } = this.#options;
      const scope = idempotencyOf(request)?.scope;
      await checkBalance({ db, redis }, { at, customerId: request.customerId, points, scope });
    }
    let orderId = this.#makeOrderId(sale, at);
    let outcome = await this.#ask(orderId, at, state, request, payload);
    if (coupon) {
      const to = { ...at, epoch: state.epoch };
      ({ orderId, outcome } = await supplyCoupon(coupon, to, this, { orderId, outcome }, async () => {
        const next = this.#makeOrderId(sale, at);
        return { orderId: next, outcome: await this.#ask(next, at, state, request, payload) };
      }));
    }
    if (outcome.type === "ACCEPTED" || outcome.type === "REPLAYED") {
      const waitMs = wishes?.waitForPostgresMs ?? this.#postgresWaitMs;
      const status = waitMs > 0 ? await this.commits.wait(outcome.orderId, waitMs) : undefined;
      if (outcome.type === "REPLAYED") return { type: "replayed", orderId: outcome.orderId };
      return this.#placed(sale, at.partition, payload, outcome, status);
    }
    if (outcome.type === "SOLD_OUT") this.soldOut.remember(at, outcome.productId, outcome.available);
    throw refuse(outcome, "process", orderId);
  }

  #makeOrderId(sale: SaleView, { partition }: Partition): string {
    return makeOrderId(sale.no, partition, this.#now());
  }

  /** Asks Redis. @param payload without one, for what nobody could have */
  #ask(
    orderId: string,
    at: Partition,
    { epoch, seq }: PartitionEpoch,
    request: OrderRequest,
    payload: OrderPayload | undefined,
  ): Promise<PlaceOutcome> {
    this.positions.learn(at, { epoch, seq });
    const idempotency = idempotencyOf(request);
    return this.admission.place(at, epoch, {
      orderId,
      buyer: request.customerId,
      idempotency,
      payload: JSON.stringify({
        ...payload,
        ...(idempotency && { idempotencyScope: idempotency.scope, payloadHash: idempotency.payloadHash }),
      }),
      lines: payload?.lines ?? NOTHING_SOLD,
    });
  }

  /** The order that the request's key led to before: a call that asks for what nobody sells can only tell that. */
  async #findEarlier(request: OrderRequest): Promise<ReplayedOrder | undefined> {
    const sale = this.#saleOf(request);
    const at = { saleId: sale.id, partition: partitionOf(request.customerId, sale.partitions) };
    const state = sale.partitionEpochs[at.partition];
    if (state?.state !== "live") return undefined;
    const outcome = await this.#ask(this.#makeOrderId(sale, at), at, state, request, undefined);
    return outcome.type === "REPLAYED" ? { type: "replayed", orderId: outcome.orderId } : undefined;
  }

  /** Notes a refusal, so that it can be explained by the id that its answer shows. @param by who decided, unless it was Redis */
  #refuse(
    outcome: Refused,
    sale: SaleView,
    at: Partition,
    buyer: string,
    by: "memory" | "process",
    orderId: string | null,
    coupon: Coupon | undefined,
  ): OnrushError {
    const error = refusalOf(outcome, sale, coupon);
    const atMs = this.#now();
    const on = "on" in outcome ? outcome.on : undefined;
    error.requestId = nextRequestId(atMs);
    this.refusals.note({
      requestId: error.requestId,
      orderId,
      buyer,
      saleId: at.saleId,
      partition: at.partition,
      code: error.code,
      facts: error.facts,
      decidedBy: on ? "redis" : by,
      epoch: on?.epoch ?? null,
      seq: on?.seq ?? null,
      script: on ? PLACE_VERSION : null,
      decidedAtMs: on?.atMs ?? null,
      atMs,
    });
    return error;
  }

  // A verdict that Redis lost the partition: it is closed for every process, until an operator has rebuilt it. The epoch is
  // that of the call: one that was under way while the partition was rebuilt says nothing of the new epoch.
  #noteLoss(at: Partition, epoch: number, outcome: PlaceOutcome | undefined): void {
    if (outcome?.type !== "STOCK_UNAVAILABLE") return;
    if (outcome.cause !== "NOT_LOADED" && outcome.cause !== "REGRESSED") return;
    if (this.catalogue.sale(at.saleId)?.partitionEpochs[at.partition]?.state !== "live") return;
    const reason =
      outcome.cause === "REGRESSED" ? "Redis is behind what was acknowledged" : "Redis has lost the partition";
    void this.#suspend(at, reason, epoch);
  }

  async #suspend(at: Partition, reason: string, epoch: number): Promise<void> {
    try {
      await suspendPartition(this.#options.pool, at, reason, epoch);
      await this.catalogue.refresh();
    } catch (error) {
      // Nothing is sold in any case; the next verdict or the next look at the server says it again.
      this.#options.onError?.(error);
    }
  }

  /** @param committed the status that Postgres has, where that was waited for and came */
  #placed(
    sale: SaleView,
    partition: number,
    payload: OrderPayload,
    accepted: Accepted,
    committed: OrderStatus | undefined,
  ): PlacedOrder {
    const { orderId, epoch, seq, reservation, reservedUntilMs } = accepted;
    const { customerId, price, payable, currency } = payload;
    const items = boughtLines(payload.lines, payload.discounts);
    const discounts = representDiscounts(payload.discounts);
    return {
      type: "placed",
      orderId,
      status: committed ?? "PENDING",
      saleId: sale.id,
      customerId,
      items,
      price,
      payable,
      ...discounts,
      currency,
      reservedUntil: new Date(reservedUntilMs),
      acknowledged: committed ? "postgres" : accepted.acknowledged,
      receipt: signReceipt(
        { orderId, saleId: sale.id, partition, epoch, seq, reservation, reservedUntilMs },
        { customerId, items, price, payable, currency, ...discounts },
        this.#options.receiptSecret,
      ),
    };
  }

  #saleOf({ saleId: id = CATALOG_SALE_ID }: OrderRequest): SaleView {
    const sale = this.catalogue.sale(id);
    if (!sale) throw new OnrushError("NOT_FOUND", "There is no such sale.", { saleId: id });
    return sale;
  }
}

// The worker role: takes payments, moves the stock of decided orders, and sweeps up what was left behind. Any number of
// workers may run; each job goes to one of them, and everything they do is safe to happen twice.
//
// Postgres' NOTIFY wakes the queues within milliseconds of a commit; polling once a second is the fallback, and what picks
// up jobs whose retry delay is over (no NOTIFY announces those).
import type { Redis } from "ioredis";
import type pg from "pg";
import { type Job, PgBoss, type WorkOptions } from "pg-boss";
import type { PaymentGatewayName } from "../../engine/config.ts";
import type { RunningConfiguration } from "../../engine/configuration/follower.ts";
import type { Settings } from "../../engine/configuration/settings.ts";
import { ReachedPositions } from "../../engine/durability/reached-positions.ts";
import { publishOrders } from "../../engine/events.ts";
import { askServers, healthOf } from "../../engine/instances/health.ts";
import { registerInstance } from "../../engine/instances/registration.ts";
import { openPool } from "../../engine/ledger/database.ts";
import type { MovedOrder } from "../../engine/ledger/fates.ts";
import type { AttemptMethod } from "../../engine/ledger/payments.ts";
import { findUnsettled } from "../../engine/ledger/sweeps.ts";
import type { Logger } from "../../engine/log.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import type { MailJob, OrdersJob, PaymentEventJob, WebhookJob } from "../../engine/outbox/queues.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { loadScripts } from "../../engine/redis/scripts.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { openConsumer } from "./consumers.ts";
import { type CardProviders, onlyProvider } from "./gateway/card-providers.ts";
import type { PaymentProvider } from "./gateway/gateway.ts";
import { offerProviders } from "./gateway/offer.ts";
import { walletGateway } from "./gateway/wallet.ts";
import { sendMail } from "./mail/mailer.ts";
import type { MailTransport } from "./mail/transport.ts";
import { Payments, type PaymentTiming } from "./payment/payments.ts";
import { followUp, paymentEventSweep } from "./payment-events/follow-up.ts";
import { startReconciler } from "./reconciliation/reconciler.ts";
import { Refunds, type RefundTiming } from "./refunds/refunds.ts";
import { Returns } from "./refunds/returns.ts";
import { Settlement } from "./settlement/settlement.ts";
import { allocationSweep } from "./sweeps/allocations.ts";
import { deadLetterSweep } from "./sweeps/dead-letters.ts";
import { expirySweep } from "./sweeps/expiry.ts";
import { holdbackSweep, honourSweep } from "./sweeps/holdbacks.ts";
import { intentSweep } from "./sweeps/intents.ts";
import { latePaymentSweep } from "./sweeps/late-payments.ts";
import { SweepLocks } from "./sweeps/locks.ts";
import { memberSweep } from "./sweeps/members.ts";
import { paymentSweep } from "./sweeps/payments.ts";
import { refundSweep, returnSweep } from "./sweeps/refunds.ts";
import { refusalSweep } from "./sweeps/refusals.ts";
import { scheduleSweeps, unless } from "./sweeps/schedule.ts";
import { transferSweep } from "./sweeps/transfers.ts";
import { unsettledSweep } from "./sweeps/unsettled.ts";
import { DELIVERY_TIMEOUT_MS, Deliveries, type DeliveryTiming } from "./webhooks/deliveries.ts";
import { openSender, type Resolve } from "./webhooks/sender.ts";
import { webhookSweep } from "./webhooks/sweep.ts";

export interface WorkerTiming {
  readonly sweepIntervalMs: number;
  /** From one comparison of Redis with the ledger to the next. */
  readonly reconcileIntervalMs: number;
  /** PAID or CANCELLING for longer than this: the stock is moved again. */
  readonly unsettledAfterMs: number;
  /** A payment without an attempt for longer than this: its job is taken for lost. */
  readonly jobLostAfterMs: number;
  readonly payment: Partial<PaymentTiming>;
  readonly refund: Partial<RefundTiming>;
  readonly webhook: Partial<DeliveryTiming>;
}

export const WORKER_TIMING: WorkerTiming = {
  sweepIntervalMs: 1_000,
  reconcileIntervalMs: 1_000,
  unsettledAfterMs: 3_000,
  jobLostAfterMs: 10_000,
  payment: {},
  refund: {},
  webhook: {},
};

export interface WorkerDependencies {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** Takes the payments by card: one provider, or those among which the configuration chooses. Closed by the worker when it stops. */
  readonly gateway: PaymentProvider | CardProviders;
  /** What is paused, and how payments are taken; without it nothing is, and by the timing. */
  readonly configuration?: RunningConfiguration;
  /** How e-mails leave, closed by the worker too; without it they stay in their queue. */
  readonly mail?: { readonly transport: MailTransport; readonly publicUrl: string };
  /** Whether webhooks may go to private addresses, and how names resolve where not as on this machine. */
  readonly webhooks?: { readonly allowPrivate: boolean; readonly resolve?: Resolve };
  readonly log: Logger;
  readonly timing?: Partial<WorkerTiming>;
}

export interface Worker {
  /** Finishes the jobs and payments under way, within 10 s; what is left is taken over from its row. */
  stop(): Promise<void>;
}

const COMMAND_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 12;
const BOSS_CONNECTIONS_MAX = 4;
/** A killed worker's jobs are missed after their heartbeat (20 s) and at the next of these looks. */
const MONITOR_INTERVAL_S = 10;
const JOBS_STOP_TIMEOUT_MS = 5_000;
const PAYMENTS_STOP_TIMEOUT_MS = 3_000;
const WEBHOOKS_CONNECTIONS_MAX = 3;

/** Eight jobs of 64 orders a fetch: the queue's own statements are then a small part of what an order costs. */
const WORK: WorkOptions = {
  batchSize: 8,
  localConcurrency: 2,
  burstWhenBatchFull: true,
  pollingIntervalSeconds: 0.5,
  notifyPollingIntervalSeconds: 1,
};

/** One at a time: a mail that fails is tried again without those that went out. */
const MAIL_WORK: WorkOptions = { batchSize: 1, localConcurrency: 2, pollingIntervalSeconds: 1 };

/** Starts a worker; resolves when it takes jobs. The database is migrated before. */
export async function startWorker(deps: WorkerDependencies): Promise<Worker> {
  const { databaseUrl, configuration, log } = deps;
  const timing = { ...WORKER_TIMING, ...deps.timing };
  const poolOptions = {
    connectionsMax: CONNECTIONS_MAX,
    applicationName: "onrush worker",
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  };
  const onBroken = (error: Error) => log.warn({ err: error }, "a Postgres connection broke");
  const pool = openPool(databaseUrl, poolOptions, onBroken);
  const redis = await openRedis(deps.redisUrl, log);
  const outbox = await openOutbox(databaseUrl, (error) => log.warn({ err: error }, "outbox"));

  const positions = new KnownPositions();
  const stock = new PartitionStock(redis, positions, new ReachedPositions(redis, pool, positions).learned);
  const settlement = new Settlement(pool, stock, positions, log);
  const onMoved = async (orders: readonly MovedOrder[]) => {
    const told = publishOrders(redis, orders).catch((error) => log.warn({ err: error }, "orders not published"));
    await Promise.all([told, settlement.move(orders)]);
  };
  const nowMs = () => redisNowMs(redis);
  const cards = "of" in deps.gateway ? deps.gateway : onlyProvider(deps.gateway);
  const wallets = walletGateway(pool);
  const gatewayOf = (method: AttemptMethod, provider: PaymentGatewayName | null) =>
    method === "wallet" ? wallets : cards.of(provider);
  const cardProvider = () => cards.chosen;
  const payments = new Payments({ pool, gatewayOf, cardProvider, nowMs, onMoved, log, timing: timing.payment });
  const returns = new Returns(pool, stock, positions, log);
  const onGivenBack = (refundIds: readonly string[]) => returns.carryOf(refundIds);
  const refunds = new Refunds({ pool, gatewayOf, onMoved, onGivenBack, log, timing: timing.refund });

  const webhookPool = openPool(databaseUrl, { ...poolOptions, connectionsMax: WEBHOOKS_CONNECTIONS_MAX }, onBroken);
  const sender = openSender({ allowPrivate: false, timeoutMs: DELIVERY_TIMEOUT_MS, ...deps.webhooks });
  let pauses: Partial<Settings["pauses"]> = {};
  const isPaused = () => pauses.webhooks === true;
  const deliveries = new Deliveries({ pool: webhookPool, sender, isPaused, log, timing: timing.webhook });

  await Promise.all([payments, refunds, deliveries].map((work) => work.freeAbandoned()));
  const boss = await openBoss(databaseUrl, log);
  await moveStock(boss, pool, settlement);
  const recheckCharges = (keys: readonly string[]) => payments.recheck(keys);
  const recheckRefunds = (ids: readonly string[]) => refunds.recheck(ids);
  await boss.work<PaymentEventJob>("payment-event", WORK, (jobs) => {
    const eventIds = jobs.flatMap((job) => job.data.eventIds);
    return followUp({ pool, recheckCharges, recheckRefunds }, eventIds);
  });
  const { mail } = deps;
  const consumers = {
    payments: openConsumer(boss, "payment", log, () =>
      boss.work<OrdersJob>("payment", WORK, (jobs) => payments.take(ordersOf(jobs))),
    ),
    refunds: openConsumer(boss, "refund", log, () =>
      boss.work<OrdersJob>("refund", WORK, (jobs) => refunds.take(ordersOf(jobs))),
    ),
    webhooks: openConsumer(boss, "webhook", log, () =>
      boss.work<WebhookJob>("webhook", WORK, async (jobs) => {
        deliveries.wake(jobs.flatMap((job) => job.data.endpointIds));
      }),
    ),
    mails: openConsumer(boss, "mail", log, async () => {
      if (!mail) return;
      await boss.work<MailJob>("mail", MAIL_WORK, async ([job]) => {
        if (job) await sendMail({ pool, log, ...mail }, job.data);
      });
    }),
  };
  configuration?.follow((settings) => {
    pauses = settings.pauses;
    const { gateway, chargeTimeoutMs } = settings.payments;
    cards.configure(settings.payments);
    payments.waitForCharges(chargeTimeoutMs);
    const isKnown = cards.chosen === null || cards.known.includes(gateway);
    if (!isKnown) log.error({ gateway }, "this worker is not set up for the payment gateway and takes no payments");
    consumers.payments.pause(pauses.payments === true || !isKnown);
    consumers.refunds.pause(pauses.refunds === true);
    consumers.webhooks.pause(pauses.webhooks === true);
    consumers.mails.pause(pauses.mails === true);
  });
  await Promise.all(Object.values(consumers).map((consumer) => consumer.settled()));
  const offer = await offerProviders(pool, cards.known, log);
  const sweeps = scheduleSweeps(
    [
      expirySweep(pool, onMoved, log),
      unsettledSweep({ pool, redis, settlement, olderThanMs: timing.unsettledAfterMs, log }),
      unless(() => pauses.payments === true, paymentSweep(pool, outbox, timing.jobLostAfterMs, log)),
      paymentEventSweep(pool, outbox),
      unless(() => pauses.refunds === true, refundSweep(pool, outbox, log)),
      returnSweep(pool, returns, timing.unsettledAfterMs, log),
      latePaymentSweep({ pool, outbox, stock, onMoved, log }),
      allocationSweep(pool, stock, log),
      transferSweep(pool, stock, log),
      intentSweep(pool, outbox, log),
      deadLetterSweep({ pool, outbox, redis, stock }, log),
      holdbackSweep(pool, stock, log),
      honourSweep(pool, stock, log),
      memberSweep(pool, log),
      refusalSweep(pool),
      webhookSweep(webhookPool, outbox, isPaused, log),
    ],
    { locks: new SweepLocks(databaseUrl, log), redis, log, intervalMs: timing.sweepIntervalMs },
  );
  const { redisUrl } = deps;
  const reconciler = await startReconciler({ databaseUrl, redisUrl, log, intervalMs: timing.reconcileIntervalMs });

  let stopping = false;
  const registration = await registerInstance({
    ...{ role: "worker", db: pool, log },
    health: async () => healthOf({ ...(await askServers(redis, pool)), accepting: !stopping }),
    configuration: () => configuration?.current.version,
    work: () => ({
      standing: {
        jobsInFlight: boss.getWipData().reduce((sum, { count }) => sum + count, 0),
        paymentsInFlight: payments.inFlight + refunds.inFlight,
        deliveriesInFlight: deliveries.inFlight,
      },
    }),
  });

  return {
    async stop() {
      stopping = true;
      // First what would start new work, then what is under way, then what it stands on.
      await Promise.all([
        ...Object.values(consumers).map((consumer) => consumer.stop()),
        offer.stop(),
        sweeps.stop(),
        reconciler.stop(),
        boss.stop({ graceful: true, timeout: JOBS_STOP_TIMEOUT_MS }),
      ]);
      await Promise.all([
        payments.drain(PAYMENTS_STOP_TIMEOUT_MS),
        refunds.drain(PAYMENTS_STOP_TIMEOUT_MS),
        deliveries.stop(PAYMENTS_STOP_TIMEOUT_MS),
      ]);
      await registration.stop();
      await webhookPool.end();
      mail?.transport.close();
      await close(outbox, cards, pool, redis);
    },
  };
}

async function openRedis(url: string, log: Logger): Promise<Redis> {
  const redis = commandConnection(url, COMMAND_TIMEOUT_MS);
  redis.on("error", (error) => log.warn({ err: error }, "Redis connection"));
  await connect(redis);
  await loadScripts(redis);
  return redis;
}

async function openBoss(databaseUrl: string, log: Logger): Promise<PgBoss> {
  const boss = new PgBoss({
    connectionString: databaseUrl,
    application_name: "onrush jobs",
    max: BOSS_CONNECTIONS_MAX,
    useListenNotify: true,
    schedule: false,
    migrate: false,
    createSchema: false,
    superviseIntervalSeconds: MONITOR_INTERVAL_S,
    monitorIntervalSeconds: MONITOR_INTERVAL_S,
  });
  boss.on("error", (error) => log.warn({ err: error }, "job queue"));
  boss.on("warning", (warning) => log.warn({ warning: warning.message }, "job queue"));
  await boss.start();
  return boss;
}

async function moveStock(boss: PgBoss, pool: pg.Pool, settlement: Settlement): Promise<void> {
  const move = async (jobs: Job<OrdersJob>[]) => {
    await settlement.move(await findUnsettled(pool, ordersOf(jobs)));
  };
  await boss.work<OrdersJob>("settlement", WORK, move);
  await boss.work<OrdersJob>("compensation", WORK, move);
}

function ordersOf(jobs: readonly Job<OrdersJob>[]): string[] {
  return jobs.flatMap((job) => job.data.orderIds);
}

async function close(outbox: Outbox, cards: CardProviders, pool: pg.Pool, redis: Redis): Promise<void> {
  await Promise.allSettled([outbox.close(), cards.close(), pool.end()]);
  redis.disconnect();
}

// Makes the proof of a sale: every figure of Postgres from one instant, Redis beside it at the same number, digests over
// all that the figures come from. It only reads.
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Redis } from "ioredis";
import type pg from "pg";
import { OnrushError } from "../errors.ts";
import { transaction } from "../ledger/database.ts";
import { SCRIPT_NAMES, scriptOf } from "../redis/scripts.ts";
import type { PartitionStock } from "../stock/partition-stock.ts";
import {
  countDeadLetters,
  LINES,
  MOVEMENTS,
  type MovementSum,
  ORDERS,
  PAYMENTS,
  type PartitionFigures,
  partitionsWithOpenLetters,
  REFUNDS,
  readEpochs,
  readGaps,
  readHead,
  readLostRanges,
  readPartitions,
  readSkus,
  type SkuFigures,
  stream,
  sumMovements,
  sumMovementsAfter,
} from "./books.ts";
import { Chain, movementChain } from "./chain.ts";
import { FORMAT, type PartitionProof, type Proof, type SkuProof, type SkuTotals, signProof } from "./document.ts";
import type { SigningKey } from "./key.ts";
import { sumMoney, sumRefunds } from "./money.ts";
import { compareRedis, lookAtRedis, type MovedUnits, type RedisPicture } from "./redis.ts";

export interface ProveDependencies {
  readonly pool: pg.Pool;
  /** Left out: Redis is not asked, and the proof says so. */
  readonly redis?: Redis | undefined;
  readonly stock?: PartitionStock | undefined;
  readonly key: SigningKey;
  /** Version of Onrush. */
  readonly version: string;
}

export interface ProveOptions {
  /** Takes the movements, a line of JSON each. */
  readonly ledger?: Writable | undefined;
  /** Told how many records have been hashed, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface SignedProof {
  readonly proof: Proof;
  /** What stands in the file. */
  readonly text: string;
}

const STATEMENT_TIMEOUT_MS = 300_000;

/** Proves a sale. @throws OnrushError with `NOT_FOUND` when there is no such sale */
export async function proveSale(
  deps: ProveDependencies,
  saleId: string,
  options: ProveOptions = {},
): Promise<SignedProof> {
  const numbers = await deps.pool.query<{ partition: number }>(
    "SELECT partition FROM sale_partitions WHERE sale_id = $1 ORDER BY partition",
    [saleId],
  );
  const partitions = numbers.rows.map((row) => row.partition);
  const picture = await lookAtRedis(deps.stock, deps.pool, saleId, partitions);
  const redisVersion = deps.redis ? await versionOf(deps.redis) : null;
  const proof = await transaction(deps.pool, async (client) => {
    await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    await client.query(`SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
    return await readProof(client, saleId, picture, { ...deps, redisVersion }, options);
  });
  return { proof, text: signProof(proof, deps.key) };
}

async function readProof(
  client: pg.PoolClient,
  saleId: string,
  picture: RedisPicture,
  { key, version, redisVersion }: ProveDependencies & { redisVersion: string | null },
  options: ProveOptions,
): Promise<Proof> {
  const head = await readHead(client, saleId);
  if (!head) throw new OnrushError("NOT_FOUND", `There is no sale ${saleId}.`);
  const skus = await readSkus(client, saleId);
  const sums = await sumMovements(client, saleId);
  const money = await sumMoney(client, saleId);
  const refunds = await sumRefunds(client, saleId);
  const partitions = await readPartitions(client, saleId);
  const numbers = {
    epochs: await readEpochs(client, saleId),
    gaps: await readGaps(client, saleId),
    lost: await readLostRanges(client, saleId),
  };
  const letters = await partitionsWithOpenLetters(client, saleId);
  const digests = await hashRecords(client, saleId, partitions, options);

  const proven: PartitionProof[] = [];
  for (const of of partitions) {
    const { partition } = of;
    const ofPartition = <T extends { partition: number }>(rows: readonly T[]) =>
      rows.filter((row) => row.partition === partition);
    const ofEpoch = (rows: readonly { partition: number; epoch: number; from: number; to: number }[], epoch: number) =>
      ofPartition(rows)
        .filter((row) => row.epoch === epoch)
        .map(({ from, to }) => ({ from, to }));
    const snapshot = picture.get(partition);
    const isBehind =
      snapshot !== undefined &&
      snapshot !== "absent" &&
      snapshot.position.epoch === of.epoch &&
      snapshot.position.seq < of.seq;
    const later = isBehind ? await sumMovementsAfter(client, saleId, partition, snapshot.position) : [];
    const moved: MovedUnits = new Map(ofPartition(sums).map((sum) => [`${sum.productId} ${sum.kind}`, sum]));
    const skusHere = ofPartition(skus).map((figures) => skuProof(figures, moved));
    const { state, epoch, seq, reservation } = of;
    proven.push({
      partition,
      state,
      epoch,
      seq,
      reservation,
      skus: skusHere,
      epochs: ofPartition(numbers.epochs).map(({ epoch, last, applied }) => ({
        epoch,
        last,
        applied,
        gaps: ofEpoch(numbers.gaps, epoch),
        lost: ofEpoch(numbers.lost, epoch),
      })),
      movements: digests.movements.get(partition) ?? { rows: 0, digest: movementChain(saleId, partition).digest },
      redis: compareRedis(of, skusHere, moved, snapshot, later, letters.has(partition)),
    });
  }
  const redisAt = proven
    .map((of) => of.redis.at)
    .filter((at) => at !== null)
    .sort();
  return {
    format: FORMAT,
    keyId: key.publicKey.id,
    sale: { id: head.id, name: head.name, currency: head.currency },
    at: { postgres: head.now.toISOString(), redis: redisAt[0] ?? null },
    versions: {
      onrush: version,
      schema: head.schema,
      postgres: head.postgres,
      redis: redisVersion,
      scripts: Object.fromEntries(SCRIPT_NAMES.map((name) => [name, scriptOf(name).version])),
    },
    skus: totalsOf(skus, proven),
    partitions: proven,
    orders: {
      count: digests.orders.count,
      digest: digests.orders.digest,
      lines: digests.lines.count,
      linesDigest: digests.lines.digest,
    },
    payments: { count: digests.payments.count, digest: digests.payments.digest },
    refunds: { count: digests.refunds.count, digest: digests.refunds.digest },
    money: {
      byStatus: money.map(({ capturedTwice: _, ...of }) => of),
      total: sumOfMoney(money),
      capturedTwice: money.reduce((sum, of) => sum + of.capturedTwice, 0),
      ...refunds,
    },
    deadLetters: await countDeadLetters(client, saleId),
  };
}

function skuProof(figures: SkuFigures, movedUnits: MovedUnits): SkuProof {
  const { productId, allocated, initial, restocked, undelivered, reserved, sold, holdback, heldBackEver } = figures;
  const moved = (kind: MovementSum["kind"]) => {
    const sum = movedUnits.get(`${productId} ${kind}`);
    return sum ? sum.quantity - sum.refused : 0;
  };
  const log = {
    delivered: moved("restock"),
    placed: moved("place"),
    settled: moved("settle"),
    released: moved("release"),
    revived: moved("revive"),
    returned: moved("return"),
    writtenOff: moved("write_off"),
  };
  return {
    productId,
    allocated,
    initial,
    restocked,
    writtenOff: figures.writtenOff + log.writtenOff,
    available: log.delivered - heldBackEver - log.placed - log.revived + log.released + log.returned,
    undelivered,
    reserved,
    sold,
    holdback,
    log,
    heldBackEver,
    orders: {
      reserved: figures.ordersReserved,
      sold: figures.ordersSold,
      returned: figures.ordersReturned,
      restocked: figures.ordersRestocked,
    },
  };
}

function totalsOf(figures: readonly SkuFigures[], partitions: readonly PartitionProof[]): SkuTotals[] {
  const totals = new Map<string, SkuTotals>();
  const names = new Map(figures.map(({ productId, name }) => [productId, name.toWellFormed()]));
  for (const sku of partitions.flatMap((of) => of.skus)) {
    const { productId } = sku;
    const sum = totals.get(productId);
    totals.set(productId, {
      productId,
      name: names.get(productId) ?? "",
      allocated: sku.allocated + (sum?.allocated ?? 0),
      initial: sku.initial + (sum?.initial ?? 0),
      restocked: sku.restocked + (sum?.restocked ?? 0),
      writtenOff: sku.writtenOff + (sum?.writtenOff ?? 0),
      available: sku.available + (sum?.available ?? 0),
      undelivered: sku.undelivered + (sum?.undelivered ?? 0),
      reserved: sku.reserved + (sum?.reserved ?? 0),
      sold: sku.sold + (sum?.sold ?? 0),
      holdback: sku.holdback + (sum?.holdback ?? 0),
    });
  }
  return [...totals.values()];
}

function sumOfMoney(money: readonly Omit<Proof["money"]["total"], never>[]): Proof["money"]["total"] {
  const sum = (name: keyof Proof["money"]["total"]) => money.reduce((total, of) => total + of[name], 0);
  return {
    orders: sum("orders"),
    price: sum("price"),
    payable: sum("payable"),
    captured: sum("captured"),
    late: sum("late"),
    refunded: sum("refunded"),
    mismatched: sum("mismatched"),
  };
}

interface Digests {
  readonly movements: ReadonlyMap<number, { readonly rows: number; readonly digest: string }>;
  readonly orders: Chain;
  readonly lines: Chain;
  readonly payments: Chain;
  readonly refunds: Chain;
}

async function hashRecords(
  client: pg.PoolClient,
  saleId: string,
  partitions: readonly PartitionFigures[],
  { ledger, onProgress = () => undefined }: ProveOptions,
): Promise<Digests> {
  const total = await countRecords(client, saleId);
  let done = 0;
  const eachPage = async (text: string, take: (page: unknown[][]) => Promise<void> | void) => {
    for await (const page of stream(client, text, [saleId])) {
      await take(page);
      done += page.length;
      onProgress(done, total);
    }
  };
  const chainOf = async (name: string, text: string) => {
    const chain = new Chain(`${name} ${saleId}`);
    await eachPage(text, (page) => {
      for (const [record] of page) chain.add(record as string);
    });
    return chain;
  };

  const chains = new Map(partitions.map(({ partition }) => [partition, movementChain(saleId, partition)]));
  await eachPage(MOVEMENTS, async (page) => {
    for (const [partition, line] of page) chains.get(partition as number)?.add(line as string);
    if (ledger && !ledger.write(page.map(([, line]) => `${line}\n`).join(""))) await once(ledger, "drain");
  });
  return {
    movements: new Map([...chains].map(([of, chain]) => [of, { rows: chain.count, digest: chain.digest }])),
    orders: await chainOf("orders", ORDERS),
    lines: await chainOf("lines", LINES),
    payments: await chainOf("payments", PAYMENTS),
    refunds: await chainOf("refunds", REFUNDS),
  };
}

async function countRecords(client: pg.PoolClient, saleId: string): Promise<number> {
  const result = await client.query<{ total: number }>(
    `SELECT (SELECT count(*) FROM stock_movements WHERE sale_id = $1)::int + (SELECT count(*) FROM orders WHERE sale_id = $1)::int
       + (SELECT count(*) FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE o.sale_id = $1)::int
       + (SELECT count(*) FROM payment_attempts a JOIN orders o ON o.id = a.order_id WHERE o.sale_id = $1)::int
       + (SELECT count(*) FROM refunds r JOIN orders o ON o.id = r.order_id WHERE o.sale_id = $1)::int AS total`,
    [saleId],
  );
  return result.rows[0]?.total ?? 0;
}

async function versionOf(redis: Redis): Promise<string | null> {
  const info = await redis.info("server").catch(() => "");
  return /^redis_version:(\S+)/m.exec(info)?.[1] ?? null;
}

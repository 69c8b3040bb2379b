// One partition on a real Redis, for the tests of the scripts: calls with the replies as the scripts give them, and reads
// of what they wrote. Every partition has a sale of its own, so that the tests of a file share a server in peace.
import { createHash, randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { CONSUMER_GROUP, type Partition, type PartitionKeys, partitionKeys } from "../../engine/keys.ts";
import { type Movement, parseMovement } from "../../engine/movement.ts";
import type { OrderPayload } from "../../engine/order.ts";
import { runScript } from "../../engine/redis/scripts.ts";

export const DAY_MS = 86_400_000;
export const RECENT_MS = 600_000;
export const TTL_MS = 300_000;

/** A product's id, the same for the same `n`. */
export function sku(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

export type Lines = readonly (readonly [sku: string, units: number])[];

export interface TestOrder {
  readonly id: string;
  readonly buyer: string;
  readonly scope: string;
  readonly hash: string;
  readonly payload: string;
  readonly lines: Lines;
}

/** An order with an id and a buyer of its own, unless told otherwise. */
export function order(lines: Lines, given: Partial<TestOrder> = {}): TestOrder {
  const buyer = given.buyer ?? `cus_${randomUUID()}`;
  return { id: randomUUID(), buyer, scope: "", hash: "", payload: payloadOf(buyer, lines), lines, ...given };
}

function payloadOf(buyer: string, lines: Lines): string {
  return JSON.stringify({
    customerId: buyer,
    lines: lines.map(([productId, quantity]) => ({ productId, name: "thing", quantity, unitPrice: 1 })),
    price: 1,
    payable: 1,
    currency: "KRW",
    payment: { method: "card", token: "tok_ok" },
    onDecline: "release",
  } satisfies OrderPayload);
}

export interface OpenOptions {
  readonly epoch?: number;
  readonly create?: boolean;
  readonly opensAt?: number;
  readonly closesAt?: number;
  readonly state?: string;
  readonly ttl?: number;
  /** sku -> limit. */
  readonly limits?: Readonly<Record<string, number>>;
}

export interface CallOptions {
  readonly epoch?: number;
  readonly minSeq?: number;
  readonly backlogMax?: number;
  readonly askedAgain?: boolean;
}

/** What place.lua answers when it decided. */
export interface PlaceReply {
  readonly epoch: string;
  readonly seq: number;
  readonly now: number;
  readonly deadline: number;
  /** A number: accepted under that reservation number. */
  readonly verdicts: readonly (number | string)[];
}

export class TestPartition {
  readonly redis: Redis;
  readonly at: Partition;
  readonly keys: PartitionKeys;

  constructor(redis: Redis, at: Partition = { saleId: randomUUID(), partition: 0 }) {
    this.redis = redis;
    this.at = at;
    this.keys = partitionKeys(at);
  }

  open(options: OpenOptions = {}): Promise<unknown> {
    const { epoch = 1, create = true, opensAt = 0, closesAt = 0, state = "open", ttl = TTL_MS, limits = {} } = options;
    const items = Object.entries(limits);
    return this.run("open", [
      epoch,
      create ? 1 : 0,
      opensAt,
      closesAt,
      state,
      ttl,
      CONSUMER_GROUP,
      items.length,
      ...items.flat(),
    ]);
  }

  /** The reply as it came: a refusal of the whole call is an answer too. */
  placeRaw(
    orders: readonly TestOrder[],
    { epoch = 1, minSeq = 0, backlogMax = 0, askedAgain = false }: CallOptions = {},
  ): Promise<unknown> {
    const numbers = [epoch, minSeq, backlogMax, askedAgain ? 1 : 0, orders.length];
    return this.run("place", [...numbers, ...orders.flatMap(encodeOrder)]);
  }

  async place(orders: readonly TestOrder[], options: CallOptions = {}): Promise<PlaceReply> {
    const [head, epoch, seq, now, deadline, ...verdicts] = (await this.placeRaw(orders, options)) as [
      string,
      string,
      number,
      number,
      number,
      ...(number | string)[],
    ];
    if (head !== "OK") throw new Error(`place.lua refused the call: ${head}`);
    return { epoch, seq, now, deadline, verdicts };
  }

  /** Places one order and gives its verdict. */
  async decide(placed: TestOrder, options: CallOptions = {}): Promise<number | string> {
    return (await this.place([placed], options)).verdicts[0] as number | string;
  }

  settle(holds: readonly (readonly [id: string, reservation: number])[], options: CallOptions = {}): Promise<unknown> {
    return this.run("settle", [options.epoch ?? 1, options.minSeq ?? 0, ...holds.flat()]);
  }

  release(holds: readonly (readonly [id: string, reservation: number])[], options: CallOptions = {}): Promise<unknown> {
    return this.run("release", [options.epoch ?? 1, options.minSeq ?? 0, ...holds.flat()]);
  }

  restock(name: string, quantity: number, movementId: string = randomUUID(), o: CallOptions = {}): Promise<unknown> {
    return this.run("restock", [o.epoch ?? 1, o.minSeq ?? 0, movementId, name, quantity]);
  }

  honour(
    placed: TestOrder,
    fromHoldback: Readonly<Record<string, number>> = {},
    options: CallOptions = {},
  ): Promise<unknown> {
    const { id, buyer, payload, lines } = placed;
    return this.run("honour", [
      options.epoch ?? 1,
      options.minSeq ?? 0,
      id,
      buyer,
      payload,
      lines.length,
      ...lines.flatMap(([name, units]) => [name, units, fromHoldback[name] ?? 0]),
    ]);
  }

  revive(
    orders: readonly { id: string; buyer: string; lines: Lines }[],
    { epoch = 1, minSeq = 0 }: CallOptions = {},
  ): Promise<unknown> {
    const encoded = orders.flatMap(({ id, buyer, lines }) => [id, buyer, lines.length, ...lines.flat()]);
    return this.run("revive", [epoch, minSeq, orders.length, ...encoded]);
  }

  takeBack(
    restock: boolean,
    returns: readonly { movementId: string; orderId: string; buyer: string; lines: Lines }[],
    { epoch = 1, minSeq = 0 }: CallOptions = {},
  ): Promise<unknown> {
    const encoded = returns.flatMap(({ movementId, orderId, buyer, lines }) => [
      ...[movementId, orderId, buyer, lines.length],
      ...lines.flat(),
    ]);
    return this.run("take-back", [epoch, minSeq, restock ? 1 : 0, returns.length, ...encoded]);
  }

  acknowledge(position: string, persisted: number, ids: readonly string[]): Promise<unknown> {
    return this.run("acknowledge", [CONSUMER_GROUP, position, persisted, ...ids]);
  }

  /** Any script with any arguments, on this partition's keys. */
  run(name: keyof typeof KEYS_OF, args: readonly (string | number)[]): Promise<unknown> {
    return runScript(
      this.redis,
      name,
      KEYS_OF[name].map((key) => this.keys[key]),
      args,
    );
  }

  /** `[available, reserved, sold]`. */
  async stock(name: string): Promise<[number, number, number]> {
    const [a, r, s] = await this.redis.hmget(this.keys.stock, `${name}|a`, `${name}|r`, `${name}|s`);
    return [Number(a), Number(r), Number(s)];
  }

  /** The whole log, read as the persister reads it. */
  async log(): Promise<Movement[]> {
    const entries = await this.redis.xrange(this.keys.stream, "-", "+");
    return entries.map(([id, fields]) => parseMovement(id, fields));
  }

  /** Makes the partition believe that its records were last written `periods` periods ago. */
  async age(field: "idemPeriod" | "recentPeriod", periods: number): Promise<void> {
    const [even, odd] =
      field === "idemPeriod"
        ? [this.keys.idempotencyEven, this.keys.idempotencyOdd]
        : [this.keys.recentEven, this.keys.recentOdd];
    const stored = Number(await this.redis.hget(this.keys.meta, field));
    await this.redis.hset(this.keys.meta, field, stored - periods);
    // The bucket of a period is told by its parity: an odd step into the past moves what it holds to the other one.
    if (periods % 2 === 1) await swap(this.redis, even, odd);
  }
}

/** The keys of each script, in the order of its header. */
const KEYS_OF = {
  open: ["meta", "stock", "stream"],
  place: ["meta", "stock", "held", "limits", "idempotencyEven", "idempotencyOdd", "recentEven", "recentOdd", "stream"],
  settle: ["meta", "stock", "held", "recentEven", "recentOdd", "stream"],
  release: ["meta", "stock", "held", "recentEven", "recentOdd", "stream", "limits"],
  restock: ["meta", "stock", "movements", "stream"],
  adjust: ["meta", "stock", "held", "limits", "movements", "stream"],
  honour: ["meta", "stock", "held", "limits", "recentEven", "recentOdd", "stream"],
  revive: ["meta", "stock", "held", "limits", "movements", "stream"],
  "take-back": ["meta", "stock", "limits", "movements", "stream"],
  acknowledge: ["meta", "stream"],
  lease: ["lease"],
  snapshot: ["meta", "stock", "held", "stream"],
  load: ["meta", "stock", "stream"],
} as const satisfies Record<string, readonly (keyof PartitionKeys)[]>;

export function encodeOrder({ id, buyer, scope, hash, payload, lines }: TestOrder): (string | number)[] {
  return [id, buyer, scope, hash, payload, lines.length, ...lines.flat()];
}

/** A partition that is open, with `units[sku]` available and `limits[sku]` a buyer (0 or absent: no limit). */
export async function openPartition(
  redis: Redis,
  units: Readonly<Record<string, number>>,
  options: OpenOptions = {},
): Promise<TestPartition> {
  const partition = new TestPartition(redis);
  const limits = Object.fromEntries(Object.keys(units).map((name) => [name, options.limits?.[name] ?? 0]));
  await partition.open({ ...options, limits });
  for (const [name, quantity] of Object.entries(units)) {
    if (quantity > 0) await partition.restock(name, quantity, `initial-${name}`, { epoch: options.epoch ?? 1 });
  }
  return partition;
}

/** One digest of every key's full value and expiry: two of them are equal only when nothing at all was written between. */
export async function keyspaceDigest(redis: Redis): Promise<string> {
  const digest = createHash("sha256");
  for (const key of (await redis.keys("*")).sort()) {
    digest.update(`${key}\0${await redis.pexpiretime(key)}\0`);
    digest.update((await redis.dumpBuffer(key)) ?? "");
  }
  return digest.digest("hex");
}

/** Runs the call, and fails when it changed anything at all on the server. */
export async function writesNothing<T>(redis: Redis, call: () => Promise<T>): Promise<T> {
  const before = await keyspaceDigest(redis);
  const reply = await call();
  if ((await keyspaceDigest(redis)) !== before) throw new Error("the call wrote to Redis");
  return reply;
}

async function swap(redis: Redis, a: string, b: string): Promise<void> {
  const [aThere, bThere] = [await redis.exists(a), await redis.exists(b)];
  if (aThere) await redis.rename(a, `${a}:moved`);
  if (bThere) await redis.rename(b, a);
  if (aThere) await redis.rename(`${a}:moved`, b);
}

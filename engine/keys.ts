// Every Redis key is built here. All keys of one partition carry the hash tag {saleId.partition}, so that they share a
// slot of a Redis Cluster and every script stays atomic there.

/** One partition of one sale: the unit of admission, of the movement log and of the persister's work. */
export interface Partition {
  readonly saleId: string;
  readonly partition: number;
}

export interface PartitionKeys {
  readonly meta: string;
  readonly stock: string;
  readonly held: string;
  readonly limits: string;
  readonly idempotencyEven: string;
  readonly idempotencyOdd: string;
  readonly recentEven: string;
  readonly recentOdd: string;
  readonly movements: string;
  readonly stream: string;
  readonly lease: string;
}

export const KEY_PREFIX = "onrush:";
/** Copies of products in the cache's Redis: one a product, its id after a colon. */
export const PRODUCT_COPIES = `${KEY_PREFIX}product`;
/** The persister's consumer group on every partition's stream. */
export const CONSUMER_GROUP = "persister";

export const CHANNELS = {
  /** The catalogue changed: products, sales, items. The payload is the new catalogue version. */
  catalogue: `${KEY_PREFIX}catalogue`,
  /** Orders moved to another state. */
  orders: `${KEY_PREFIX}orders`,
  /** Stock of a partition came back. The payload is its name (`partitionName`). */
  stock: `${KEY_PREFIX}stock`,
  /** Sessions or API keys ended. The payload is a JSON array of their ids. */
  sessions: `${KEY_PREFIX}sessions`,
  /** Support threads: what moved, who is there, who is writing (engine/support/notices.ts). In the cache's Redis. */
  support: `${KEY_PREFIX}support`,
} as const;

/** A name for a partition in logs, metrics and maps: `saleId.partition`. */
export function partitionName({ saleId, partition }: Partition): string {
  return `${saleId}.${partition}`;
}

export function partitionKeys(partition: Partition): PartitionKeys {
  const base = `${KEY_PREFIX}{${partitionName(partition)}}:`;
  return {
    meta: `${base}meta`,
    stock: `${base}stock`,
    held: `${base}held`,
    limits: `${base}limits`,
    idempotencyEven: `${base}idem:even`,
    idempotencyOdd: `${base}idem:odd`,
    recentEven: `${base}recent:even`,
    recentOdd: `${base}recent:odd`,
    movements: `${base}movements`,
    stream: `${base}stream`,
    lease: `${base}lease`,
  };
}

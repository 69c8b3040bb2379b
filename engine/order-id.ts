// The tracking id of an order: a UUID (version 8) that tells, without a look-up, when the order was made and which
// partition holds it, and that is a guest's only capability to read it, by 62 random bits.
//
//   32 bits unix seconds | 16 bits sale no, high | 4 bits version = 8 | 4 bits sale no, low | 8 bits partition
//   2 bits variant | 62 bits random
//
// The leading time keeps new rows together at the end of the primary key's index.
import { randomFillSync } from "node:crypto";

export const SALE_NO_MAX = 2 ** 20 - 1;
export const PARTITIONS_MAX = 256;

const POOL_BYTES = 8_192;
const RANDOM_BYTES = 8;
const ORDER_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const pool = Buffer.alloc(POOL_BYTES);
let poolAt = POOL_BYTES;

/** Makes the id of a new order of the sale with number `saleNo` (1 to 2^20-1), held by `partition` (0 to 255). */
export function makeOrderId(saleNo: number, partition: number, nowMs: number): string {
  if (poolAt + RANDOM_BYTES > POOL_BYTES) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const at = poolAt;
  poolAt += RANDOM_BYTES;
  const seconds = Math.floor(nowMs / 1000) >>> 0;
  const byte = (value: number) => HEX[value & 0xff] as string;
  const random = (n: number) => HEX[pool[at + n] as number] as string;
  const variant = HEX[((pool[at] as number) & 0x3f) | 0x80] as string;
  return (
    `${byte(seconds >>> 24)}${byte(seconds >>> 16)}${byte(seconds >>> 8)}${byte(seconds)}-` +
    `${byte(saleNo >>> 12)}${byte(saleNo >>> 4)}-8${(saleNo & 0xf).toString(16)}${byte(partition)}-` +
    `${variant}${random(1)}-${random(2)}${random(3)}${random(4)}${random(5)}${random(6)}${random(7)}`
  );
}

/** Reads what an order's id tells, or `undefined` when the text is no such id. */
export function parseOrderId(id: string): { saleNo: number; partition: number } | undefined {
  if (!ORDER_ID.test(id)) return undefined;
  const saleNo = (Number.parseInt(id.slice(9, 13), 16) << 4) | Number.parseInt(id.charAt(15), 16);
  return { saleNo, partition: Number.parseInt(id.slice(16, 18), 16) };
}

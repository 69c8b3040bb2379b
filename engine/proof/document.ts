// The proof as a file: one line of canonical JSON (RFC 8785), `{"proof": ..., "signature": ...}`, and a line feed. What is
// signed is the canonical form of `proof`; what is accepted is only the canonical form of the whole, byte for byte, so that
// no two files say the same: a blank more, a member twice, another spelling of a number are alterations like any other.
import { type KeyObject, sign, verify } from "node:crypto";
import canonicalize from "canonicalize";
import { z } from "zod";
import { ORDER_STATUSES } from "../order-state.ts";
import type { PublicKey, SigningKey } from "./key.ts";

export const FORMAT = "onrush-proof/2";
/** Stands before what is signed, so that a signature under this key means a proof and nothing else. */
const SIGNED_AS = Buffer.from(`${FORMAT}\n`);
const SIGNATURE = /^[0-9a-f]{128}$/;
/** Far above a proof of 10,000 products; a longer file is none. */
export const PROOF_BYTES_MAX = 64 * 1_024 * 1_024;

const count = z.int().nonnegative();
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime({ precision: 3 });
const range = z.strictObject({ from: z.int().positive(), to: z.int().positive() });

/** Units. */
const units = {
  /** What the ledger's stock row says. */
  allocated: count,
  initial: count,
  restocked: count,
  writtenOff: count,
  /** On sale, by the log. */
  available: z.int(),
  /** Allocated, and on the way to sale: Redis has not been told yet. */
  undelivered: count,
  reserved: count,
  sold: count,
  /** Kept for orders that were acknowledged and lost. */
  holdback: count,
};
const totalsSchema = z.strictObject({ productId: z.string(), name: z.string(), ...units });
const skuSchema = z.strictObject({
  productId: z.string(),
  ...units,
  /** The movements of the log, summed as far as the ledger let them in. */
  log: z.strictObject({
    delivered: z.int(),
    placed: count,
    settled: count,
    released: count,
    /** Held again, by orders that were paid after they were cancelled. */
    revived: count,
    /** Came back of what was sold: on sale again, and written off. */
    returned: count,
    writtenOff: count,
  }),
  /** Ever held back at rebuilds, returned or not. */
  heldBackEver: count,
  /**
   * What the lines of the orders come to: whose stock is reserved; whose stock is sold, less what came back; what came back;
   * and what of that is on sale again.
   */
  orders: z.strictObject({ reserved: count, sold: count, returned: count, restocked: count }),
});
const redisSchema = z.strictObject({
  /**
   * equal: the same units, at the same number. in flight: Redis is ahead of what Postgres has applied. dead letters: what
   * differs is held by entries that could not be read. absent: Redis does not have the partition under this epoch.
   */
  verdict: z.enum(["equal", "in flight", "unreachable", "absent", "dead letters", "different"]),
  epoch: count.nullable(),
  seq: count.nullable(),
  at: time.nullable(),
  /** Units by Redis at its own number, and what the ledger expects there. */
  skus: z.array(
    z.strictObject({ productId: z.string(), redis: z.array(z.int()).length(3), ledger: z.array(z.int()).length(3) }),
  ),
});
const partitionSchema = z.strictObject({
  partition: count,
  state: z.enum(["new", "live", "suspended"]),
  /** How far the log is applied. */
  epoch: z.int().positive(),
  seq: count,
  reservation: count,
  skus: z.array(skuSchema),
  /** Of each epoch: its last known number, how many were applied, and which were not. */
  epochs: z.array(
    z.strictObject({
      epoch: z.int().positive(),
      last: count,
      applied: count,
      gaps: z.array(range),
      lost: z.array(range),
    }),
  ),
  /** SHA-256 chain over the movements in their order. */
  movements: z.strictObject({ rows: count, digest }),
  redis: redisSchema,
});
const moneySchema = z.strictObject({
  orders: count,
  price: count,
  payable: count,
  captured: count,
  /** Of what was captured: of orders that were cancelled before, while it is not decided what becomes of them. */
  late: count,
  refunded: count,
  /** Orders whose money does not fit their state. */
  mismatched: count,
});

export const proofSchema = z.strictObject({
  format: z.literal(FORMAT),
  keyId: z.string().regex(/^[0-9a-f]{32}$/),
  sale: z.strictObject({ id: z.string(), name: z.string(), currency: z.string() }),
  at: z.strictObject({ postgres: time, redis: time.nullable() }),
  versions: z.strictObject({
    onrush: z.string(),
    schema: z.string(),
    postgres: z.string(),
    redis: z.string().nullable(),
    scripts: z.record(z.string(), z.string()),
  }),
  skus: z.array(totalsSchema),
  partitions: z.array(partitionSchema),
  orders: z.strictObject({ count, digest, lines: count, linesDigest: digest }),
  payments: z.strictObject({ count, digest }),
  refunds: z.strictObject({ count, digest }),
  money: z.strictObject({
    byStatus: z.array(z.strictObject({ status: z.enum(ORDER_STATUSES), ...moneySchema.shape })),
    total: moneySchema,
    /** Orders with more than one capture of their own. */
    capturedTwice: count,
    /** What the refunds come to that have given the orders' money back. */
    given: count,
    /** Charges beside the orders' own, and what of them went back. */
    surplus: count,
    surplusGiven: count,
  }),
  deadLetters: z.array(
    z.strictObject({ partition: count, kind: z.string(), state: z.enum(["open", "replayed", "discarded"]), count }),
  ),
});

export type Proof = z.output<typeof proofSchema>;
export type PartitionProof = Proof["partitions"][number];
export type SkuProof = PartitionProof["skus"][number];
export type SkuTotals = Proof["skus"][number];
export type RedisProof = PartitionProof["redis"];

/** The file's text. */
export function signProof(proof: Proof, key: SigningKey): string {
  const signature = sign(null, signedBytes(proof), key.privateKey).toString("hex");
  return `${canonical({ proof, signature })}\n`;
}

export type ReadProof =
  | { readonly type: "genuine"; readonly proof: Proof }
  | { readonly type: "refused"; readonly why: string };

/** Reads a proof that the key has signed; anything else is refused, with the reason. Never throws on what the file holds. */
export function readProof(bytes: Uint8Array, key: PublicKey): ReadProof {
  const refused = (why: string): ReadProof => ({ type: "refused", why });
  if (bytes.length > PROOF_BYTES_MAX) return refused("The file is too long to be a proof.");
  let text: string;
  let file: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    file = JSON.parse(text);
  } catch {
    return refused("The file is not JSON in UTF-8.");
  }
  if (!isCanonical(file, text)) return refused("The file is not in its canonical form: something was added or moved.");
  const { proof: signed, signature } = file as { proof: unknown; signature: unknown };
  if (Object.keys(file as object).length !== 2 || typeof signature !== "string" || !SIGNATURE.test(signature)) {
    return refused("The file is not a proof with its signature.");
  }
  if (typeof signed !== "object" || signed === null) return refused("The file holds no proof.");
  const { format } = signed as { format?: unknown };
  if (typeof format === "string" && format !== FORMAT) return refused(`The proof is not of the form ${FORMAT}.`);
  if (!isSignedBy(key.key, signed, signature)) return refused("The signature is not by this key over this content.");
  const parsed = proofSchema.safeParse(signed);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refused(`The proof is not of the form ${FORMAT}: ${issue?.path.join(".")} ${issue?.message}.`);
  }
  if (parsed.data.keyId !== key.id) return refused("The proof names another key than the one that signed it.");
  return { type: "genuine", proof: parsed.data };
}

function isCanonical(file: unknown, text: string): boolean {
  if (typeof file !== "object" || file === null) return false;
  try {
    return `${canonical(file)}\n` === text;
  } catch {
    return false; // half a surrogate pair: such a text has no canonical form
  }
}

function isSignedBy(key: KeyObject, proof: object, signature: string): boolean {
  return verify(null, signedBytes(proof), key, Buffer.from(signature, "hex"));
}

function signedBytes(proof: object): Buffer {
  return Buffer.concat([SIGNED_AS, Buffer.from(canonical(proof))]);
}

function canonical(value: object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new Error("there is no canonical form of this");
  return text;
}

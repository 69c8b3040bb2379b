// The movements of a proof as lines of JSON: what the digests of the log are made of, and what a ledger file holds.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { type Chain, movementChain } from "./chain.ts";
import type { Proof, SkuProof } from "./document.ts";

const whole = z.int();
/** partition, epoch, seq, product, kind, units, units that the ledger refused, ms since 1970, version of the script. */
const rowSchema = z.tuple([
  whole,
  whole,
  whole,
  z.string(),
  z.enum(["place", "settle", "release", "restock", "adjust", "revive", "return", "write_off"]),
  whole,
  whole,
  whole,
  z.string().nullable(),
]);

/** Which movements each of the proof's sums is made of. */
const KINDS = {
  delivered: "restock",
  placed: "place",
  settled: "settle",
  released: "release",
  revived: "revive",
  returned: "return",
  writtenOff: "write_off",
} as const satisfies Record<keyof SkuProof["log"], string>;

/** Computes the digests of a ledger file again, and its sums, and says where they are not those of the proof. */
export async function checkLedgerFile(proof: Proof, file: string): Promise<string[]> {
  const chains = new Map<number, Chain>(
    proof.partitions.map(({ partition }) => [partition, movementChain(proof.sale.id, partition)]),
  );
  const moved = new Map<string, number>();
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  for await (const line of lines) {
    number += 1;
    const row = readRow(line);
    const chain = row && chains.get(row[0]);
    if (!chain) return [`line ${number} is not a movement of this sale`];
    chain.add(line);
    const name = `${row[0]} ${row[3]} ${row[4]}`;
    moved.set(name, (moved.get(name) ?? 0) + row[5] - row[6]);
  }
  return proof.partitions.flatMap(({ partition, movements, skus }) => {
    const chain = chains.get(partition);
    if (chain?.digest !== movements.digest || chain.count !== movements.rows) {
      return [`partition ${partition}: the movements are not those that were proven`];
    }
    return skus
      .filter(({ productId, log }) => {
        const sum = (kind: string) => moved.get(`${partition} ${productId} ${kind}`) ?? 0;
        return Object.entries(KINDS).some(([name, kind]) => sum(kind) !== log[name as keyof typeof KINDS]);
      })
      .map(({ productId }) => `partition ${partition}: the movements of ${productId} do not add up to the proof's`);
  });
}

function readRow(line: string): z.output<typeof rowSchema> | undefined {
  try {
    return rowSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

// The movements of a proof as lines of JSON: what the digests of the log are made of, and what a ledger file holds.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { type Chain, movementChain } from "./chain.ts";
import type { Proof } from "./document.ts";

const whole = z.int();
/** partition, epoch, seq, product, kind, units, units that the ledger refused, ms since 1970, version of the script. */
const rowSchema = z.tuple([
  whole,
  whole,
  whole,
  z.string(),
  z.enum(["place", "settle", "release", "restock", "adjust"]),
  whole,
  whole,
  whole,
  z.string().nullable(),
]);

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
        const { delivered, placed, settled, released } = log;
        return (
          sum("restock") !== delivered ||
          sum("place") !== placed ||
          sum("settle") !== settled ||
          sum("release") !== released
        );
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

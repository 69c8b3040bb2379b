// The digest of a list of records: a SHA-256 chain, each link over the one before and the record's line. A chain and not one
// hash over everything, so that a later proof of a log that only grew can be tied to an earlier one by its records alone.
import { createHash, hash } from "node:crypto";

export class Chain {
  #link: Buffer;
  #count = 0;

  /** @param name what the records are, so that no two lists have a digest in common */
  constructor(name: string) {
    this.#link = createHash("sha256").update(`onrush ${name}\n`).digest();
  }

  /** Adds a record by its line, without a line feed. */
  add(line: string): void {
    this.#link = hash("sha256", Buffer.concat([this.#link, Buffer.from(line)]), "buffer");
    this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }

  get digest(): string {
    return this.#link.toString("hex");
  }
}

/** The chain of a partition's movements. */
export function movementChain(saleId: string, partition: number): Chain {
  return new Chain(`movements ${saleId}.${partition}`);
}

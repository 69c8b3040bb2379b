// Verifies a proof offline: by the file, the shop's public key, and nothing else.
import { checkProof, type Finding } from "./arithmetic.ts";
import { type Proof, readProof } from "./document.ts";
import type { PublicKey } from "./key.ts";
import { checkLedgerFile } from "./movements.ts";

export interface Verification {
  /** Genuine, and everything in it holds. */
  readonly holds: boolean;
  /** Why it is not genuine: nothing that it says may be believed then. */
  readonly refused: string | undefined;
  readonly proof: Proof | undefined;
  readonly findings: readonly Finding[];
}

/**
 * Verifies the bytes of a proof.
 *
 * @param ledgerFile its movements as lines of JSON, whose digests and sums are computed again
 * @throws what reading the ledger file throws
 */
export async function verifyProof(bytes: Uint8Array, key: PublicKey, ledgerFile?: string): Promise<Verification> {
  const read = readProof(bytes, key);
  if (read.type === "refused") return { holds: false, refused: read.why, proof: undefined, findings: [] };
  const { proof } = read;
  const findings = checkProof(proof);
  if (ledgerFile !== undefined) {
    const details = await checkLedgerFile(proof, ledgerFile);
    findings.push({
      check: "the ledger file holds the movements that were proven",
      holds: details.length === 0,
      details,
    });
  }
  return { holds: findings.every((finding) => finding.holds), refused: undefined, proof, findings };
}

// Which partition of a sale a buyer belongs to. A pure function of the buyer's id, so that limits and idempotency of one
// buyer always live in one place and stay exact however many processes and partitions there are.

/** FNV-1a over the id's UTF-16 code units, folded to `partitions`; stable for ever, the stored limits depend on it. */
export function partitionOf(customerId: string, partitions: number): number {
  if (partitions === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < customerId.length; i += 1) {
    hash ^= customerId.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  // FNV's low bits are weak for short ids: fold the high half in before the remainder.
  hash ^= hash >>> 16;
  return (hash >>> 0) % partitions;
}

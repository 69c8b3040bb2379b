// Refunds whose tries have ended. The money is owed, so there is one decision only: the refund goes again, under the key that it
// always had.
import type pg from "pg";
import { OnrushError } from "../../engine/errors.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { decideDeadLetter, lockDeadLetter, recordDecision } from "../../engine/ledger/dead-letters.ts";
import { reviveRefund } from "../../engine/ledger/refund-work.ts";
import type { Outbox } from "../../engine/outbox/outbox.ts";

/**
 * Makes the letter's refund go again.
 *
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE` when it was decided before
 */
export async function replayRefundLetter(
  { pool, outbox }: { readonly pool: pg.Pool; readonly outbox: Outbox },
  id: number,
  by: { readonly actor: string; readonly reason?: string | null | undefined },
): Promise<void> {
  await transaction(pool, async (client) => {
    const letter = await lockDeadLetter(client, id);
    if (!letter?.refundId) throw new OnrushError("NOT_FOUND", `There is no dead letter ${id}.`, { id });
    const orderId = letter.state === "open" ? await reviveRefund(client, letter.refundId) : undefined;
    if (orderId === undefined) {
      const { state } = letter;
      throw new OnrushError("INVALID_STATE", `The dead letter was ${state} before.`, { id, state });
    }
    await outbox.enqueue(client, "refund", [orderId]);
    await decideDeadLetter(client, id, "replayed", by.actor);
    await recordDecision(client, letter, "replay", by, { refundId: letter.refundId, state: "pending" });
  });
}

/** Why a refund is never discarded. */
export function refuseRefundDiscard(id: number): OnrushError {
  return new OnrushError("INVALID_STATE", "A refund cannot be discarded: the money is owed. Replay it.", { id });
}

// Wallets as a payment provider. Their books are in the same Postgres as the orders, and yet nothing of a payment is committed
// with anything of an order: a charge is asked for, and looked up, by its key, as with any provider. So there is one way to
// pay and one way to fail, and the books of the wallets can stand elsewhere one day.
//
// Charges that come together go in one transaction: a hundred orders on one wallet wait for its row a few times, not a
// hundred.
import type pg from "pg";
import { Batcher } from "../../../engine/admission/batcher.ts";
import {
  type ChargeAnswer,
  chargeWallets,
  findWalletCharge,
  type WantedCharge,
} from "../../../engine/wallet/charges.ts";
import { findWalletRefund, refundToWallet } from "../../../engine/wallet/refunds.ts";
import type { ChargeOutcome, PaymentProvider, RefundOutcome } from "./gateway.ts";

const CHARGES_PER_TRANSACTION_MAX = 256;
/** One more than one, so that a wallet that is held elsewhere does not hold up the others. */
const TRANSACTIONS_IN_FLIGHT_MAX = 2;
const WAITING_MAX = 10_000;

/** Opens the provider on the caller's pool, which it does not end. A charge's token is the id of the wallet's owner. */
export function walletGateway(pool: pg.Pool): PaymentProvider {
  const charges = new Batcher<WantedCharge, ChargeAnswer>({
    execute: (wanted) => chargeWallets(pool, wanted),
    weightOf: () => 1,
    itemsMax: CHARGES_PER_TRANSACTION_MAX,
    weightMax: CHARGES_PER_TRANSACTION_MAX,
    inFlightMax: TRANSACTIONS_IN_FLIGHT_MAX,
    waitingMax: WAITING_MAX,
  });

  return {
    async charge({ key, amount, currency, token: customerId }, signal) {
      return chargeOutcome(await charges.submit({ key, customerId, amount, currency, signal }));
    },
    async lookup(key) {
      const charge = await findWalletCharge(pool, key);
      return charge ? chargeOutcome(charge) : "none";
    },
    async refund({ key, chargeKey, amount }) {
      const answer = await refundToWallet(pool, { key, chargeKey, amount });
      switch (answer.type) {
        case "booked":
          return { type: "succeeded", reference: answer.refund.reference };
        case "key_reused":
          return refused("idempotency_key_reused");
        case "charge_not_found":
          return refused("charge_not_found");
        case "exceeds_charge":
          return refused("refund_exceeds_charge");
      }
    },
    async lookupRefund(key) {
      const refund = await findWalletRefund(pool, key);
      return refund ? { type: "succeeded", reference: refund.reference } : "none";
    },
    close: () => Promise.resolve(),
  };
}

function chargeOutcome(answer: ChargeAnswer): ChargeOutcome {
  switch (answer.state) {
    case "succeeded":
      return { type: "succeeded", reference: answer.reference };
    case "declined":
      return { type: "declined", code: "insufficient_funds" };
    case "key_reused":
      return { type: "failed", code: "idempotency_key_reused", retryable: false };
    case "given_up":
      return { type: "unknown", code: "timeout" };
  }
}

function refused(code: string): RefundOutcome {
  return { type: "failed", code, retryable: false };
}

// The simulated provider within the worker's own process: for tests, and where a process of its own is not wanted. The same
// books and tokens as the service, without the network in between.
import type pg from "pg";
import type { ChargeOutcome, PaymentProvider, RefundOutcome } from "./gateway.ts";
import type { Charge } from "./provider/charges.ts";
import { openProvider, type ProviderOptions } from "./provider/provider.ts";
import { declineCode } from "./provider/tokens.ts";

/** Opens the provider over a pool of its own; `close` ends that pool. */
export function openSimulatedGateway(pool: pg.Pool, options: Partial<ProviderOptions> = {}): PaymentProvider {
  const provider = openProvider(pool, options);
  return {
    async charge(request, signal) {
      const answer = await provider.charge(request, signal);
      if (answer.type === "booked") return outcomeOf(answer.charge);
      return { type: "failed", code: "idempotency_key_reused", retryable: false };
    },
    async lookup(key) {
      const charge = await provider.findCharge(key);
      return charge ? outcomeOf(charge) : "none";
    },
    async refund(request): Promise<RefundOutcome> {
      const answer = await provider.refund(request);
      switch (answer.type) {
        case "booked":
          return { type: "succeeded", reference: answer.refund.id };
        case "key_reused":
          return { type: "failed", code: "idempotency_key_reused", retryable: false };
        case "charge_not_found":
          return { type: "failed", code: "charge_not_found", retryable: false };
        case "exceeds_charge":
          return { type: "failed", code: "refund_exceeds_charge", retryable: false };
        case "refused":
          return { type: "failed", code: "refund_refused", retryable: false };
        case "unavailable":
          return { type: "failed", code: "provider_unavailable", retryable: true };
      }
    },
    async lookupRefund(key) {
      const refund = await provider.findRefund(key);
      return refund ? { type: "succeeded", reference: refund.id } : "none";
    },
    close: () => provider.close(),
  };
}

function outcomeOf(charge: Charge): ChargeOutcome {
  switch (charge.state) {
    case "succeeded":
      return { type: "succeeded", reference: charge.id };
    case "processing":
      return { type: "pending", code: "processing" };
    case "declined":
      return { type: "declined", code: declineCode(charge.token) };
    case "error":
      return { type: "failed", code: "provider_unavailable", retryable: true };
  }
}

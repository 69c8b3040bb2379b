// Stripe as a payment provider. How its charges and refunds are found again by our keys is said in charges.ts and refunds.ts.
import { CIRCUIT_TIMING, type CircuitListener, type CircuitTiming, openCircuit } from "../circuit.ts";
import type { PaymentProvider } from "../gateway.ts";
import { stripeCharges } from "./charges.ts";
import { asker, isTrouble, openStripe } from "./client.ts";
import { stripeRefunds } from "./refunds.ts";

export interface StripeGatewayOptions {
  /** `sk_...` or `rk_...`. */
  readonly apiKey: string;
  /** Where the API is, when not at Stripe's. */
  readonly url?: string | undefined;
  /** How long one call may take; a charge is two. */
  readonly timeoutMs?: number;
  /** Calls at once of each kind: charges, refunds, look-ups. */
  readonly atOnceMax?: number;
  readonly circuit?: Partial<CircuitTiming>;
  /** Hears of the circuits `charges`, `refunds` and `lookups`. */
  readonly onCircuit?: CircuitListener;
}

/** Two calls within the patience that a charge is waited for. Stripe takes 100 writes a second of an account by default. */
const DEFAULTS = { timeoutMs: 6_000, atOnceMax: 64 };

/** Opens the adapter; it connects when it is first used. */
export function stripeGateway(options: StripeGatewayOptions): PaymentProvider {
  const { apiKey, url, timeoutMs, atOnceMax } = { ...DEFAULTS, ...options };
  const { api, close } = openStripe({ apiKey, url, timeoutMs });
  const timing = { ...CIRCUIT_TIMING, ...options.circuit };
  const isOutage = (said: object) => isTrouble(said) && said.outage;
  const asking = (circuit: string) => asker(openCircuit(circuit, isOutage, timing, options.onCircuit), atOnceMax);
  const asks = { charges: asking("charges"), refunds: asking("refunds"), lookups: asking("lookups") };
  const charges = stripeCharges(api, asks);
  const refunds = stripeRefunds(api, asks, charges);
  return {
    charge: (request, signal) => charges.charge(request, signal),
    lookup: (key, signal, facts) => charges.lookup(key, signal, facts),
    refund: (request, signal) => refunds.refund(request, signal),
    lookupRefund: (key, signal, facts) => refunds.lookup(key, signal, facts),
    async close() {
      close();
    },
  };
}

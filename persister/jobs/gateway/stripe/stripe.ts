// Stripe as a payment provider. How its charges and refunds are found again by our keys is said in charges.ts and refunds.ts.
import { CIRCUIT_TIMING, type CircuitListener, type CircuitTiming, openCircuit } from "../circuit.ts";
import type { PaymentProvider } from "../gateway.ts";
import { stripeCharges } from "./charges.ts";
import { isTrouble, openStripe } from "./client.ts";
import { stripeRefunds } from "./refunds.ts";

export interface StripeGatewayOptions {
  /** `sk_...` or `rk_...`. */
  readonly apiKey: string;
  /** Where the API is, when not at Stripe's. */
  readonly url?: string | undefined;
  /** How long one call may take; a charge is two. */
  readonly timeoutMs?: number;
  readonly connectionsMax?: number;
  readonly circuit?: Partial<CircuitTiming>;
  /** Hears of the circuits `charges`, `refunds` and `lookups`. */
  readonly onCircuit?: CircuitListener;
}

/** Two calls within the patience that a charge is waited for. Stripe takes 100 writes a second of an account by default. */
const DEFAULTS = { timeoutMs: 6_000, connectionsMax: 64 };

/** Opens the adapter; it connects when it is first used. */
export function stripeGateway(options: StripeGatewayOptions): PaymentProvider {
  const { apiKey, url, timeoutMs, connectionsMax } = { ...DEFAULTS, ...options };
  const { api, close } = openStripe({ apiKey, url, timeoutMs, connectionsMax });
  const timing = { ...CIRCUIT_TIMING, ...options.circuit };
  const circuit = (name: string) =>
    openCircuit<object>(name, (said) => isTrouble(said) && said.outage, timing, options.onCircuit);
  const circuits = { charges: circuit("charges"), refunds: circuit("refunds"), lookups: circuit("lookups") };
  const charges = stripeCharges(api, circuits);
  const refunds = stripeRefunds(api, circuits, charges);
  return {
    charge: (request, signal) => charges.charge(request, signal),
    lookup: (key, _signal, facts) => charges.lookup(key, facts),
    refund: (request, signal) => refunds.refund(request, signal),
    lookupRefund: (key, _signal, facts) => refunds.lookup(key, facts),
    async close() {
      close();
    },
  };
}

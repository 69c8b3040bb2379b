// What the simulated provider does with each token. A token is the whole of its customer's behaviour: nothing is random.
import { FLAKY_FAILURES } from "./modes.ts";

/**
 * `processing`: taken and not decided, it succeeds by itself after a while. `error`: the provider failed and moved no money; a
 * later call under the same key may still change that. The other two are final.
 */
export type ChargeState = "succeeded" | "declined" | "processing" | "error";

/** Charged as any other; every refund of it is refused. */
export const REFUND_REFUSED_TOKEN = "tok_refund_refused";

export interface Behaviour {
  /** What the charge comes to. */
  readonly endsAs: ChargeState;
  /** How many calls fail before it does. */
  readonly failures: number;
}

export function behaviourOf(token: string): Behaviour {
  switch (token) {
    case "tok_ok":
    case "tok_slow":
    case "tok_timeout":
    case REFUND_REFUSED_TOKEN:
      return { endsAs: "succeeded", failures: 0 };
    case "tok_flaky":
      return { endsAs: "succeeded", failures: FLAKY_FAILURES };
    case "tok_pending":
      return { endsAs: "processing", failures: 0 };
    case "tok_error":
      return { endsAs: "error", failures: 0 };
    default:
      return { endsAs: "declined", failures: 0 };
  }
}

/** Why a declined token was declined. */
export function declineCode(token: string): string {
  if (token === "tok_declined") return "card_declined";
  if (token === "tok_insufficient") return "insufficient_funds";
  // A good one is declined when the provider is told to refuse everything.
  return behaviourOf(token).endsAs === "declined" ? "invalid_token" : "do_not_honor";
}

/** False for the tokens whose answer takes its time, or never comes. */
export function answersAtOnce(token: string): boolean {
  return token !== "tok_slow" && token !== "tok_timeout";
}

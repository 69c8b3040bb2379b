// What the simulated provider does with each token. A token is the whole of its customer's behaviour: nothing is random.

/**
 * `processing`: taken and not decided, it succeeds by itself after a while. `error`: the provider failed and moved no money; a
 * later call under the same key may still change that. The other two are final.
 */
export type ChargeState = "succeeded" | "declined" | "processing" | "error";

/** Charged as any other; every refund of it is refused. */
export const REFUND_REFUSED_TOKEN = "tok_refund_refused";

/** `tok_flaky` fails this often before it succeeds. */
export const FLAKY_FAILURES = 2;

/** What the first call under a key comes to. */
export function firstState(token: string): ChargeState {
  switch (token) {
    case "tok_ok":
    case "tok_slow":
    case "tok_timeout":
    case REFUND_REFUSED_TOKEN:
      return "succeeded";
    case "tok_pending":
      return "processing";
    case "tok_flaky":
    case "tok_error":
      return "error";
    default:
      return "declined";
  }
}

/** Why a declined token was declined. */
export function declineCode(token: string): string {
  if (token === "tok_declined") return "card_declined";
  if (token === "tok_insufficient") return "insufficient_funds";
  return "invalid_token";
}

/** False for the tokens whose answer takes its time, or never comes. */
export function answersAtOnce(token: string): boolean {
  return token !== "tok_slow" && token !== "tok_timeout";
}

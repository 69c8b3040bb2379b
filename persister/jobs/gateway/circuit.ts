// Circuit breakers around the calls to a payment provider. Calls that fail one after the other open a circuit: from then on no
// call is made, and who asks hears so at once, so that payments wait without a connection, a timeout or one of their tries
// each. After a while one call goes through as a trial; it closes the circuit, or leaves it open for longer.
//
//   closed --- FAILURES_MAX outages in a row ---> open --- 1 s, growing to 10 s ---> half-open: one call, the others are told
//     ^                                            ^                                    | that it is open
//     '------------- the trial succeeds -----------+--------------- it fails -----------'
import {
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhenResult,
  isBrokenCircuitError,
} from "cockatiel";
import { PAYMENT_TUNING } from "../../../engine/configuration/sections.ts";

export type CircuitStatus = "closed" | "half-open" | "open";

/** Hears of each change. May not throw. */
export type CircuitListener = (circuit: string, status: CircuitStatus) => void;

export interface CircuitTiming {
  /** Outages in a row that open it. */
  readonly failuresMax: number;
  /** From opening to the first trial; about twice as long after each trial that failed, up to the other one. */
  readonly trialDelayMs: number;
  readonly trialDelayMsMax: number;
}

export const CIRCUIT_TIMING: CircuitTiming = {
  failuresMax: PAYMENT_TUNING.circuitFailuresMax,
  trialDelayMs: PAYMENT_TUNING.circuitTrialDelayMs,
  trialDelayMsMax: PAYMENT_TUNING.circuitTrialDelayMsMax,
};

export interface Circuit<Answer> {
  /** @returns the call's answer, or `undefined` when none was made. Rejects as the call does, which is no outage. */
  pass(call: () => Promise<Answer>): Promise<Answer | undefined>;
}

/** @param isOutage whether an answer says that the provider is not there */
export function openCircuit<Answer>(
  name: string,
  isOutage: (answer: Answer) => boolean,
  timing: CircuitTiming,
  listener?: CircuitListener,
): Circuit<Answer> {
  const { failuresMax, trialDelayMs, trialDelayMsMax } = timing;
  const policy = circuitBreaker(
    handleWhenResult((answer) => isOutage(answer as Answer)),
    {
      breaker: new ConsecutiveBreaker(failuresMax),
      halfOpenAfter: new ExponentialBackoff({ initialDelay: trialDelayMs, maxDelay: trialDelayMsMax }),
    },
  );
  policy.onStateChange((state) => listener?.(name, STATUS[state]));
  return {
    async pass(call) {
      // The library would let who comes during a trial wait for its end, for as long as the provider is silent.
      if (policy.state === CircuitState.HalfOpen) return undefined;
      try {
        return await policy.execute(call);
      } catch (error) {
        if (isBrokenCircuitError(error)) return undefined;
        throw error;
      }
    },
  };
}

const STATUS: Readonly<Record<CircuitState, CircuitStatus>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.HalfOpen]: "half-open",
  [CircuitState.Isolated]: "open",
};

// The payment provider over HTTP, by the protocol of provider/protocol.ts. What an answer, or its absence, says about money:
//
//   200                                  its body: succeeded, declined, or processing, which is pending
//   400 402 409 411 413 415 422          failed for good: this request will never be taken
//   401 403 404 405 408 425 429 503      failed for now: nothing moved, be it that the key here is wrong
//   a connection that never stood        unsent: the provider has not heard of it; so is what an open circuit keeps back
//   everything else, and silence         unknown: the caller looks the key up
//
// Charges that come together go in one call. Those of them that take their time come back as pending and are asked for one
// by one, over connections of their own: a customer who hesitates holds up nobody else.
//
// No answer, 5xx and 429 count as an outage, and enough of them in a row open the circuit of that kind of call. Each kind has
// its own: a provider that cannot charge may well say what it has. Of charges asked for singly silence counts for nothing: it
// is the customer's. Nor does a 503 of the provider's own about a refund: it is there, and its refunds have their tries.
//
// Nothing is called twice here. What failed for now, or was not sent, is tried again from the attempt's row.
import { z } from "zod";
import { Batcher } from "../../../engine/admission/batcher.ts";
import { CIRCUIT_TIMING, type Circuit, type CircuitListener, type CircuitTiming, openCircuit } from "./circuit.ts";
import type { ChargeOutcome, ChargeRequest, PaymentProvider, RefundOutcome } from "./gateway.ts";
import { type HttpAnswer, type HttpCall, HttpCallError, type HttpClient, openHttpClient } from "./http-client.ts";

export interface HttpGatewayOptions {
  readonly url: string;
  readonly apiKey: string;
  /** How long a call may take; the caller's own patience may be shorter. */
  readonly timeoutMs?: number;
  /** Charges in one call; 1: the provider takes them singly only. */
  readonly batchMax?: number;
  /** Connections for what answers at once, and as many again for what may not. */
  readonly connectionsMax?: number;
  readonly circuit?: Partial<CircuitTiming>;
  /** Hears of the circuits `batches`, `charges` (those asked for singly), `refunds` and `lookups`. */
  readonly onCircuit?: CircuitListener;
}

const DEFAULTS = { timeoutMs: 8_000, batchMax: 64, connectionsMax: 256 };
const BATCHES_IN_FLIGHT_MAX = 4;
const WAITING_MAX = 10_000;

const FAILED_FOR_GOOD = new Set([400, 402, 409, 411, 413, 415, 422]);
const FAILED_FOR_NOW = new Set([401, 403, 404, 405, 408, 425, 429, 503]);
const NO_BATCHES = new Set([404, 405]);

const word = z.string().min(1).max(128);
const key = z.string().min(1).max(255);
const Succeeded = z.object({ status: z.literal("succeeded"), id: word });
const Declined = z.object({ status: z.literal("declined"), code: word.default("declined") });
const Processing = z.object({ status: z.literal("processing") });
const ChargeAnswer = z.discriminatedUnion("status", [Succeeded, Declined, Processing]);
const BatchResult = z.discriminatedUnion("status", [
  Succeeded.extend({ key }),
  Declined.extend({ key }),
  Processing.extend({ key }),
  z.object({ status: z.literal("pending"), key }),
  z.object({ status: z.enum(["unavailable", "rejected"]), key, code: word.default("failed") }),
]);
const BatchAnswer = z.object({ results: z.array(BatchResult) });
const Refusal = z.object({ code: word });

type Failed = Extract<ChargeOutcome, { type: "failed" | "unknown" | "unsent" }>;
/** `singly`: not in a batch; nothing was done about it yet. */
type BatchOutcome = ChargeOutcome | "singly";
interface WaitingCharge {
  readonly request: ChargeRequest;
  readonly signal: AbortSignal;
}

/** Opens the adapter; it connects when it is first used. Neither method rejects. */
export function httpGateway(options: HttpGatewayOptions): PaymentProvider {
  const { url, apiKey, timeoutMs, batchMax, connectionsMax } = { ...DEFAULTS, ...options };
  const prompt = openHttpClient({ url, apiKey, timeoutMs, connectionsMax });
  const patient = openHttpClient({ url, apiKey, timeoutMs, connectionsMax });
  const timing = { ...CIRCUIT_TIMING, ...options.circuit };
  const circuit = (name: string, outage = isOutage) => openCircuit(name, outage, timing, options.onCircuit);
  const circuits = {
    batches: circuit("batches"),
    charges: circuit("charges", (answer) => isOutage(answer) && !isSilence(answer)),
    refunds: circuit("refunds", (answer) => isOutage(answer) && !isNotNow(answer)),
    lookups: circuit("lookups"),
  };
  let inBatches = batchMax > 1;

  async function chargeTogether(waiting: readonly WaitingCharge[]): Promise<BatchOutcome[]> {
    // Whoever has given up must not be charged now: nobody would ask about it for a while.
    const wanted = waiting.filter(({ signal }) => !signal.aborted);
    const charges = wanted.map(({ request }) => request);
    let outcomes = charges.map((): BatchOutcome => "singly");
    if (charges.length > 0 && inBatches) {
      const answer = await answerOf(circuits.batches, prompt, {
        method: "POST",
        path: "/charges/batch",
        body: { charges },
      });
      if ("status" in answer && NO_BATCHES.has(answer.status)) inBatches = false;
      else outcomes = batchOutcomes(charges, answer);
    }
    const byWaiting = new Map(wanted.map((one, index) => [one, outcomes[index]]));
    return waiting.map((one) => byWaiting.get(one) ?? GIVEN_UP);
  }
  const batches = new Batcher<WaitingCharge, BatchOutcome>({
    execute: chargeTogether,
    weightOf: () => 1,
    itemsMax: batchMax,
    weightMax: batchMax,
    inFlightMax: BATCHES_IN_FLIGHT_MAX,
    waitingMax: WAITING_MAX,
  });

  return {
    async charge(request, signal) {
      if (inBatches) {
        const outcome = await batches.submit({ request, signal });
        if (outcome !== "singly") return outcome;
      }
      const { key, amount, currency, token } = request;
      const body = { amount, currency, token };
      const call: HttpCall = { method: "POST", path: "/charges", idempotencyKey: key, body, signal };
      return chargeOutcome(await answerOf(circuits.charges, patient, call));
    },
    async lookup(key, signal) {
      const call: HttpCall = { method: "GET", path: `/charges/${encodeURIComponent(key)}`, signal };
      const answer = await answerOf(circuits.lookups, prompt, call);
      return isNone(answer, "charge_not_found") ? "none" : asUnknown(chargeOutcome(answer));
    },
    async refund({ key, chargeKey, amount }, signal) {
      const body = { chargeKey, amount };
      const call: HttpCall = { method: "POST", path: "/refunds", idempotencyKey: key, body, signal };
      const answer = await answerOf(circuits.refunds, patient, call);
      // Unlike a path that is not there, a charge that is not there is a definite no.
      if (isNone(answer, "charge_not_found")) return { type: "failed", code: "charge_not_found", retryable: false };
      return refundOutcome(answer);
    },
    async lookupRefund(key, signal) {
      const call: HttpCall = { method: "GET", path: `/refunds/${encodeURIComponent(key)}`, signal };
      const answer = await answerOf(circuits.lookups, prompt, call);
      return isNone(answer, "refund_not_found") ? "none" : asUnknown(refundOutcome(answer));
    },
    async close() {
      prompt.close();
      patient.close();
    },
  };
}

const GIVEN_UP: Failed = { type: "unsent", code: "not_sent_in_time" };

const CIRCUIT_OPEN: Failed = { type: "unsent", code: "circuit_open" };

/** The answer, or what its absence says. */
async function answerOf(
  circuit: Circuit<HttpAnswer | Failed>,
  client: HttpClient,
  call: HttpCall,
): Promise<HttpAnswer | Failed> {
  return (await circuit.pass(() => client.call(call).catch(asFailed))) ?? CIRCUIT_OPEN;
}

function asFailed(error: unknown): Failed {
  if (!(error instanceof HttpCallError)) throw error;
  const { code, sent } = error;
  return sent ? { type: "unknown", code } : { type: "unsent", code };
}

/** Whether it says that the provider is not there, or wants to be left alone. */
function isOutage(answer: HttpAnswer | Failed): boolean {
  return "type" in answer || answer.status >= 500 || answer.status === 429;
}

/** The provider's own word that it cannot do this now, and not that of something in front of it. */
function isNotNow(answer: HttpAnswer | Failed): boolean {
  return "status" in answer && answer.status === 503 && Refusal.safeParse(answer.body).success;
}

/** Sent, and not answered for as long as somebody waited. */
function isSilence(answer: HttpAnswer | Failed): boolean {
  return "type" in answer && answer.type === "unknown" && (answer.code === "timeout" || answer.code === "aborted");
}

function chargeOutcome(answer: HttpAnswer | Failed): ChargeOutcome {
  if ("type" in answer) return answer;
  if (answer.status !== 200) return failureOf(answer);
  const parsed = ChargeAnswer.safeParse(answer.body);
  if (!parsed.success) return UNREADABLE;
  return fromBody(parsed.data);
}

function refundOutcome(answer: HttpAnswer | Failed): RefundOutcome {
  if ("type" in answer) return answer;
  if (answer.status !== 200) return failureOf(answer);
  const parsed = Succeeded.safeParse(answer.body);
  return parsed.success ? { type: "succeeded", reference: parsed.data.id } : UNREADABLE;
}

/** What a batch's answer says about each of its charges. */
function batchOutcomes(charges: readonly ChargeRequest[], answer: HttpAnswer | Failed): BatchOutcome[] {
  if ("type" in answer) return charges.map(() => answer);
  // One of them may have spoilt the whole call: asked for singly, it fails alone.
  if (FAILED_FOR_GOOD.has(answer.status)) return charges.map(() => "singly");
  if (answer.status !== 200) return charges.map(() => failureOf(answer));
  const results = BatchAnswer.safeParse(answer.body).data?.results ?? [];
  return charges.map((charge, index) => {
    const result = results[index];
    return result?.key === charge.key ? batchOutcome(result) : UNREADABLE;
  });
}

function batchOutcome(result: z.infer<typeof BatchResult>): BatchOutcome {
  switch (result.status) {
    case "succeeded":
    case "declined":
    case "processing":
      return fromBody(result);
    case "pending":
      return "singly";
    case "unavailable":
      return { type: "failed", code: result.code, retryable: true };
    case "rejected":
      return { type: "failed", code: result.code, retryable: false };
  }
}

function fromBody(body: z.infer<typeof ChargeAnswer>): ChargeOutcome {
  switch (body.status) {
    case "succeeded":
      return { type: "succeeded", reference: body.id };
    case "declined":
      return { type: "declined", code: body.code };
    case "processing":
      return { type: "pending", code: "processing" };
  }
}

const UNREADABLE: Failed = { type: "unknown", code: "unreadable_answer" };

function failureOf({ status, body }: HttpAnswer): Failed {
  const code = Refusal.safeParse(body).data?.code ?? `http_${status}`;
  if (FAILED_FOR_GOOD.has(status)) return { type: "failed", code, retryable: false };
  if (FAILED_FOR_NOW.has(status)) return { type: "failed", code, retryable: true };
  return { type: "unknown", code };
}

/** Only the provider's own word counts as "no": a 404 can also come from a wrong URL. */
function isNone(answer: HttpAnswer | Failed, code: string): boolean {
  return "status" in answer && answer.status === 404 && Refusal.safeParse(answer.body).data?.code === code;
}

/** A look-up that failed says nothing about the charge. */
function asUnknown<T extends ChargeOutcome>(outcome: T): T | { readonly type: "unknown"; readonly code: string } {
  return outcome.type === "failed" ? { type: "unknown", code: outcome.code } : outcome;
}

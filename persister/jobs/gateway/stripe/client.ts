// Calls to Stripe through its official client, each made once, and what an error says about money:
//
//   card_error (402), no such method       declined
//   idempotency_error                      refused: the key stands for other parameters
//   invalid_request_error, other 4xx       refused: this request will never be taken
//   401, 403, 429                          later: nothing was done, be it that the key here is wrong
//   a connection that never stood          unsent; so is what an open circuit keeps back
//   409, 5xx, no answer, an unreadable one unknown: it may have been done. 409: another call is out under the same key
import http from "node:http";
import https from "node:https";
import { bulkhead, isBulkheadRejectedError, isTaskCancelledError } from "cockatiel";
import Stripe from "stripe";
import type { Circuit } from "../circuit.ts";
import { UNCONNECTED } from "../http-client.ts";

/** The version of the API whose answers are read here; the client's types are of the same one. */
const API_VERSION = "2026-10-28.endive";

export interface StripeClientOptions {
  /** `sk_...` or `rk_...`. */
  readonly apiKey: string;
  /** Where the API is, when not at Stripe's. */
  readonly url?: string | undefined;
  readonly timeoutMs: number;
}

export interface StripeClient {
  readonly api: Stripe;
  /** Cuts every connection. */
  close(): void;
}

export function openStripe({ apiKey, url, timeoutMs }: StripeClientOptions): StripeClient {
  const base = url === undefined ? undefined : new URL(url);
  const { Agent } = base?.protocol === "http:" ? http : https;
  const agent = new Agent({ keepAlive: true, scheduling: "lifo" });
  const api = new Stripe(apiKey, {
    apiVersion: API_VERSION,
    ...(base && {
      protocol: base.protocol === "http:" ? "http" : "https",
      host: base.hostname,
      port: base.port || (base.protocol === "http:" ? 80 : 443),
    }),
    timeout: timeoutMs,
    maxNetworkRetries: 0,
    telemetry: false,
    httpClient: onceOnly(Stripe.createNodeHttpClient(agent)),
  });
  return { api, close: () => agent.destroy() };
}

/** The part of the client that makes one request. */
type Requests = NonNullable<NonNullable<ConstructorParameters<typeof Stripe>[1]>["httpClient"]>;

/**
 * The client repeats a call by itself when a connection breaks, whatever it is told, and would then say of both what became of
 * the second: that it was never sent, perhaps. So it does not hear by its name that a connection broke.
 */
function onceOnly(requests: Requests): Requests {
  return {
    getClientName: () => requests.getClientName(),
    async makeRequest(...request) {
      const response = await requests.makeRequest(...request).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ECONNRESET" && error.code !== "EPIPE") throw error;
        throw Object.assign(new Error("the connection broke", { cause: error }), { code: "connection_broken" });
      });
      const read = response.toJSON.bind(response);
      // JSON that is no object would be an unhandled rejection within the client, and a call that never ends.
      response.toJSON = async () => {
        const body: unknown = await read();
        if (typeof body !== "object" || body === null) throw new Error("the answer is not an object");
        return body;
      };
      return response;
    },
  };
}

/** A call that came to nothing that can be used. */
export interface Trouble {
  readonly trouble: "declined" | "refused" | "later" | "unsent" | "unknown";
  readonly code: string;
  /** The parameter that was refused. */
  readonly parameter: string | undefined;
  /** Whether it is what an earlier call under the key was answered. */
  readonly replayed: boolean;
  /** Whether Stripe is not there, or wants to be left alone. */
  readonly outage: boolean;
}

export function isTrouble(said: object): said is Trouble {
  return "trouble" in said;
}

/** Of a look-up: one that failed says nothing about what was looked for. */
export function unknownOf({ trouble, code }: Trouble): { readonly type: "unsent" | "unknown"; readonly code: string } {
  return { type: trouble === "unsent" ? "unsent" : "unknown", code };
}

/** Makes a call, unless `signal` has ended before its turn came. @returns the answer, or what its absence says */
export type Ask = <T extends object>(signal: AbortSignal, call: () => Promise<T>) => Promise<T | Trouble>;

/**
 * Asks through a circuit, so many calls at once; others wait for their turn here and not for a connection, where the client
 * would neither count their time nor take them back.
 */
export function asker(circuit: Circuit<object>, atOnceMax: number): Ask {
  const turns = bulkhead(atOnceMax, WAITING_MAX);
  return async <T extends object>(signal: AbortSignal, call: () => Promise<T>) => {
    try {
      const said = await turns.execute(() => circuit.pass(() => call().catch(troubleOf)), signal);
      // The circuit passes on what it was given.
      return said === undefined ? troubleWith("unsent", "circuit_open") : (said as T | Trouble);
    } catch (error) {
      if (isTaskCancelledError(error)) return troubleWith("unsent", "not_sent_in_time");
      if (isBulkheadRejectedError(error)) return troubleWith("unsent", "too_many_calls");
      throw error;
    }
  };
}

const WAITING_MAX = 10_000;

function troubleWith(trouble: Trouble["trouble"], code: string): Trouble {
  return { trouble, code, parameter: undefined, replayed: false, outage: true };
}

function troubleOf(error: unknown): Trouble {
  if (!(error instanceof Stripe.errors.StripeError)) throw error;
  if (error instanceof Stripe.errors.StripeConnectionError) {
    const code = codeOf(error.detail) ?? "connection_error";
    return troubleWith(UNCONNECTED.has(code) ? "unsent" : "unknown", code);
  }
  const status = error.statusCode ?? 0;
  const trouble = troubleOfAnswer(error, status);
  return {
    trouble,
    code: trouble === "declined" ? declineCode(error) : codeOfAnswer(error, status),
    parameter: error.param,
    replayed: error.headers?.["idempotent-replayed"] === "true",
    outage: status === 0 || status === 429 || status >= 500,
  };
}

function troubleOfAnswer(error: Stripe.errors.StripeError, status: number): Trouble["trouble"] {
  if (error.rawType === "card_error" || isWrongMethod(error)) return "declined";
  if (status === 401 || status === 403 || status === 429) return "later";
  if (status === 409 || status === 0 || status >= 500) return "unknown";
  return "refused";
}

/** The token is the customer's to choose: a wrong one is their refusal, and not ours. */
function isWrongMethod({ code, param }: Stripe.errors.StripeError): boolean {
  return code === "resource_missing" && param?.startsWith("payment_method") === true;
}

function declineCode(error: Stripe.errors.StripeError): string {
  // The client makes an empty word of none.
  return isWrongMethod(error) ? "invalid_token" : error.decline_code || error.code || "declined";
}

function codeOfAnswer(error: Stripe.errors.StripeError, status: number): string {
  if (error.rawType === "idempotency_error" && status !== 409) return "idempotency_key_reused";
  return error.code ?? (status === 0 ? "unreadable_answer" : `http_${status}`);
}

function codeOf(detail: unknown): string | undefined {
  const code = typeof detail === "object" && detail !== null && "code" in detail ? detail.code : undefined;
  if (code === "ETIMEDOUT") return "timeout";
  return typeof code === "string" ? code.slice(0, 64) : undefined;
}

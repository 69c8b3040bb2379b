// A local server that speaks the part of Stripe's API that payments need, as it is published: form-encoded bodies, errors,
// idempotency keys, a search that lags behind. Calls can be cut off, kept waiting or failed, before they do their work or after.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type Answer, apiError, serverError } from "./answers.ts";
import { type Parameters, StripeBooks } from "./books.ts";
import { IdempotencyKeys, KEPT_S } from "./idempotency.ts";

export const STRIPE_KEY = "sk_test_thatOnlyTestsHave";
const VERSION = "2026-10-28.endive";

/** `unheard`: nothing is done, the connection breaks; `lost`: it is done, and the connection breaks. */
export type Fault =
  | "unheard"
  | "lost"
  /** A 500, which is kept under the key like any answer; with the work done, or not. */
  | "failed"
  | "failed after"
  /** A 429; nothing is done. */
  | "limited"
  /** It is done, and the answer waits for this. */
  | Promise<unknown>
  | Answer;

export interface Call {
  readonly method: string;
  /** Without `/v1`; the ids in it replaced by `:id`. */
  readonly route: string;
  readonly parameters: Parameters;
  readonly idempotencyKey: string | undefined;
}

export interface StripeServer {
  readonly url: string;
  readonly books: StripeBooks;
  /** Every call that came. */
  readonly calls: Call[];
  /** Asked of each call; undefined: it goes its way. */
  fault: (call: Call) => Fault | undefined;
  /** More than a day goes by: idempotency keys are forgotten, the search catches up. */
  passADay(): void;
  stop(): Promise<void>;
}

export async function startStripeServer(): Promise<StripeServer> {
  const books = new StripeBooks();
  const keys = new IdempotencyKeys();
  const server = createServer((request, response) => void answer(request, response)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const stripe: StripeServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    books,
    calls: [],
    fault: () => undefined,
    passADay() {
      books.nowS += KEPT_S + 3_600;
      books.catchUp();
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://stripe");
    const [, id = ""] = /\/((?:pi|re)_[^/]+)/.exec(url.pathname) ?? [];
    const form = new URLSearchParams(request.method === "GET" ? url.search : await text(request));
    const call: Call = {
      method: request.method ?? "",
      route: url.pathname.replace(/^\/v1/, "").replace(id === "" ? "\0" : id, ":id"),
      parameters: Object.fromEntries(form),
      idempotencyKey: request.headers["idempotency-key"]?.toString(),
    };
    stripe.calls.push(call);
    const fault = stripe.fault(call);
    if (fault === "unheard") return void request.socket.destroy();
    const given = refusalOf(request) ?? (await execute(call, id, fault));
    if (fault === "lost") return void request.socket.destroy();
    if (fault instanceof Promise) await fault;
    const { status, body, headers } = given;
    response.writeHead(status, { "content-type": "application/json", "request-id": "req_test", ...headers });
    response.end(JSON.stringify(body));
  }

  /** Not kept under any key. */
  function refusalOf({ headers }: IncomingMessage): Answer | undefined {
    if (headers.authorization !== `Bearer ${STRIPE_KEY}`) {
      return apiError(401, { type: "invalid_request_error", message: "Invalid API Key provided" });
    }
    if (headers["stripe-version"] !== VERSION) {
      return apiError(400, { type: "invalid_request_error", message: `The version is not ${VERSION}` });
    }
    return undefined;
  }

  async function execute(call: Call, id: string, fault: Fault | undefined): Promise<Answer> {
    if (fault === "limited") {
      return apiError(429, { type: "invalid_request_error", code: "rate_limit", message: "Too many requests" });
    }
    if (call.method === "GET") return work(call, id);
    const asked = JSON.stringify([call.route, id, call.parameters]);
    return keys.once(call.idempotencyKey, asked, books.nowS, async () => {
      // While the answer waits the call is out: who comes under its key meanwhile is told so.
      if (fault === "failed") return { answer: serverError(), begun: true };
      if (typeof fault === "object" && "status" in fault) return { answer: fault, begun: true };
      const done = work(call, id);
      if (fault instanceof Promise) await fault;
      return { answer: fault === "failed after" ? serverError() : done, begun: done.status !== 404 };
    });
  }

  function work({ method, route, parameters }: Call, id: string): Answer {
    switch (`${method} ${route}`) {
      case "POST /payment_intents":
        return books.createIntent(parameters);
      case "GET /payment_intents/:id":
        return books.readIntent(id);
      case "POST /payment_intents/:id/confirm":
        return books.confirmIntent(id, parameters);
      case "POST /payment_intents/:id/cancel":
        return books.cancelIntent(id);
      case "GET /payment_intents/search":
        return books.searchIntents(parameters["query"] ?? "");
      case "POST /refunds":
        return books.createRefund(parameters);
      case "GET /refunds":
        return books.listRefunds(parameters);
      default:
        return apiError(404, { type: "invalid_request_error", message: `Unrecognized request URL: ${route}` });
    }
  }
  return stripe;
}

// The lane in front of the app, where nearly all orders of a sale go: plain ones are read, placed and answered on Node's
// request and response, without the adapter, the router and the schema, which cost as much again as everything else that an
// order needs (docs/BENCHMARKS.md). It reads only what it understands beyond doubt; every other request goes on to the app as
// it came. What happens to an order is placing.ts in both.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ApiDependencies } from "../dependencies.ts";
import { type Answer, sendAnswer } from "../http/answer.ts";
import type { Edge } from "../http/endpoint.ts";
import { ORDERS_PATH } from "./acceptance.ts";
import { createPlacing } from "./placing.ts";
import { type PlainOrder, readPlainOrder } from "./plain-order.ts";

/** Answers the request, or calls `otherwise`, once. A body it has read is left in `request.rawBody`. */
export type Lane = (request: IncomingMessage, response: ServerResponse, otherwise: () => void) => void;

/** Far above any single order; longer bodies are the app's to judge. */
const BODY_BYTES_MAX = 16_384;
const JSON_TYPE = "application/json";
/** What the adapter takes without a closer look. */
const PLAIN_HOST = /^[a-z0-9._-]+(?::(?:[1-5]\d{3,4}|[6-9]\d{3}))?$/;

export function orderLane(edge: Edge, deps: ApiDependencies): Lane {
  const placing = createPlacing(edge, deps);
  const observe = edge.metrics.route("POST", ORDERS_PATH);

  async function answer({ socket, headers }: IncomingMessage, { json, body }: PlainOrder): Promise<Answer> {
    try {
      const address = edge.readAddress(socket.remoteAddress, headers["x-forwarded-for"] as string | undefined);
      let caller = placing.admit(address, headers.authorization);
      if (caller instanceof Promise) caller = await caller;
      const idempotencyKey = headers["idempotency-key"] as string | undefined;
      const buyer = placing.buyerOf({ caller, address, json, idempotencyKey });
      return await placing.place(buyer, body, headers["prefer"] as string | undefined);
    } catch (error) {
      return placing.refuse(error);
    }
  }

  const atEndOfTurn = turnEnds();
  return (request, response, otherwise) => {
    const length = plainLength(request);
    if (length === undefined) return otherwise();
    const startedAt = performance.now();
    readBody(request, length, (bytes) => {
      const order = readPlainOrder(bytes);
      if (!order) {
        // Where the adapter looks for a body that was read before it.
        Object.assign(request, { rawBody: bytes });
        return otherwise();
      }
      void answer(request, order).then((answered) =>
        atEndOfTurn(() => {
          sendAnswer(response, answered, edge.cors.headers(request.headers.origin));
          observe(answered.status, performance.now() - startedAt);
        }),
      );
    });
  };
}

/**
 * Does what it is given at the end of the event loop's turn, all of it together. Answers that need nobody but this process are
 * ready one by one, and a reader that sleeps would be woken by each, which costs more than the answer; so it is woken once.
 */
function turnEnds(): (work: () => void) => void {
  let due: (() => void)[] = [];
  const end = () => {
    const now = due;
    due = [];
    for (const work of now) work();
  };
  return (work) => {
    if (due.push(work) === 1) setImmediate(end);
  };
}

/** The length of the body, when nothing in the request's head could make the app do anything but read it as an order. */
function plainLength({ method, url, headers, rawHeaders }: IncomingMessage): number | undefined {
  if (method !== "POST" || url !== ORDERS_PATH || headers["content-type"] !== JSON_TYPE) return undefined;
  const length = Number(headers["content-length"]);
  if (!(length > 0 && length <= BODY_BYTES_MAX) || headers.expect !== undefined) return undefined;
  if (headers.host === undefined || !PLAIN_HOST.test(headers.host) || isAmbiguous(rawHeaders)) return undefined;
  return length;
}

/** Of these Node keeps the first and drops the others, and the app does not. */
function isAmbiguous(rawHeaders: readonly string[]): boolean {
  let types = 0;
  let authorizations = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const { length } = rawHeaders[i] as string;
    if (length !== 12 && length !== 13) continue;
    const name = (rawHeaders[i] as string).toLowerCase();
    if (name === "content-type") types += 1;
    else if (name === "authorization") authorizations += 1;
  }
  return types > 1 || authorizations > 1;
}

/** Reads the body whole. A client that leaves before its end is not waited for. */
function readBody(request: IncomingMessage, length: number, then: (bytes: Buffer) => void): void {
  // Nearly always the body came with the head, and is there once the parser returns: one read, and no listeners.
  process.nextTick(() => {
    const first = request.read() as Buffer | null;
    if (first?.length === length) return then(first);
    const chunks = first ? [first] : [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => then(Buffer.concat(chunks)));
  });
}

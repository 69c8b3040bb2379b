// The lane in front of the app for the rush after the last unit: orders that this process knows to be sold out are answered
// on the socket, without the adapter, the router and the schema (a sold-out answer cost twice the no-op through them, see
// docs/BENCHMARKS.md). The lane only ever says SOLD_OUT, in the app's own words, and only to a request of which nothing
// else could be said: a plain guest order without a key, valid beyond doubt, at the sale's own prices. Every other request
// goes on to the app as it came.
import type { IncomingMessage, ServerResponse } from "node:http";
import { CATALOG_SALE_ID } from "../../engine/catalogue/sales.ts";
import { soldOutRefusal } from "../../engine/engine.ts";
import { OnrushError } from "../../engine/errors.ts";
import { QUANTITY_MAX } from "../../engine/money.ts";
import type { ApiDependencies } from "../dependencies.ts";
import type { Edge } from "../http/endpoint.ts";
import { UUID } from "../http/fields.ts";
import { nextRequestId, problemDocument, problemHeaders } from "../http/problem.ts";
import { ITEMS_MAX } from "./order-request.ts";

/** Answers the request, or calls `otherwise`, once. A body it has read is left in `request.rawBody`. */
export type Lane = (request: IncomingMessage, response: ServerResponse, otherwise: () => void) => void;

const PATH = "/api/v1/orders";
/** Far above any single order; longer bodies are the app's to judge. */
const BODY_BYTES_MAX = 16_384;
/** Any of these can make the answer another one; so can `Origin` and `X-Forwarded-For` where they are heeded. */
const DECIDING_HEADERS = ["authorization", "idempotency-key", "prefer", "expect"];
const JSON_TYPE = "application/json";
const ADDRESS_LENGTHS = { street: 200, postalCode: 20, city: 100 } as const;
const TEMPLATES_MAX = 1_000;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** An order's members as far as the lane needs them. */
interface PlainOrder {
  readonly saleId: string;
  readonly customerId: string;
  readonly price: number | undefined;
  readonly items: readonly { productId: string; quantity: number; price?: number | undefined }[];
}

export function soldOutLane(edge: Edge, { engine, config }: ApiDependencies): Lane {
  if (!config.guestOrders) return (_request, _response, otherwise) => otherwise();
  const deciding = [
    ...DECIDING_HEADERS,
    ...(config.corsOrigins.length > 0 ? ["origin"] : []),
    ...(config.trustedProxies.length > 0 ? ["x-forwarded-for"] : []),
  ];
  const observe = edge.metrics.route("POST", PATH);
  const templates = new Map<string, string>();

  /** The problem document up to its request id, which is its last member. */
  function template(productId: string, available: number): string {
    const key = `${productId} ${available}`;
    let text = templates.get(key);
    if (text === undefined) {
      if (templates.size >= TEMPLATES_MAX) templates.clear();
      text = JSON.stringify(problemDocument(soldOutRefusal(productId, available), "")).slice(0, -'"}'.length);
      templates.set(key, text);
    }
    return text;
  }
  const vary = config.corsOrigins.length > 0 ? { vary: "origin" } : {};
  const headers = Object.entries({ ...problemHeaders(soldOutRefusal("", 0)), ...vary }).flat();

  function answer(request: IncomingMessage, response: ServerResponse, body: Buffer, startedAt: number): boolean {
    const order = readPlainOrder(body);
    const short = order && engine.recallSoldOut(order);
    if (!order || !short) return false;
    try {
      edge.limits.order(edge.readAddress(request.socket.remoteAddress, undefined));
      edge.limits.orderOf(order.customerId);
    } catch (error) {
      if (!(error instanceof OnrushError)) throw error;
      const refused = JSON.stringify(problemDocument(error, nextRequestId()));
      response.writeHead(429, { ...problemHeaders(error), ...vary }).end(refused);
      observe(429, performance.now() - startedAt);
      return true;
    }
    const text = `${template(short.productId, short.available)}${nextRequestId()}"}`;
    response.writeHead(409, [...headers, "content-length", String(Buffer.byteLength(text))]).end(text);
    edge.metrics.order("SOLD_OUT");
    observe(409, performance.now() - startedAt);
    return true;
  }

  return (request, response, otherwise) => {
    if (!engine.soldOut.isKept || !isPlainRequest(request, deciding)) return otherwise();
    const startedAt = performance.now();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => {
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (answer(request, response, body, startedAt)) return;
      // Where the adapter looks for a body that was read before it.
      Object.assign(request, { rawBody: body });
      otherwise();
    });
  };
}

function isPlainRequest({ method, url, headers }: IncomingMessage, deciding: readonly string[]): boolean {
  if (method !== "POST" || url !== PATH || headers["content-type"] !== JSON_TYPE) return false;
  const length = Number(headers["content-length"]);
  if (!(length > 0 && length <= BODY_BYTES_MAX)) return false;
  return deciding.every((name) => headers[name] === undefined);
}

/** Reads an order that the schema would accept beyond doubt; `undefined` leaves it to the schema. */
export function readPlainOrder(bytes: Uint8Array): PlainOrder | undefined {
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof body !== "object" || body === null) return undefined;
  const { saleId = CATALOG_SALE_ID, customerId, items, price, address, payment } = body;
  if (typeof saleId !== "string" || typeof customerId !== "string" || !UUID.test(customerId)) return undefined;
  if (body["couponCode"] !== undefined || body["points"] !== undefined) return undefined;
  if (!Array.isArray(items) || items.length < 1 || items.length > ITEMS_MAX || !items.every(isPlainItem))
    return undefined;
  if (!isPrice(price) || !isPlainAddress(address) || !isPlainPayment(payment)) return undefined;
  return { saleId, customerId: customerId.toLowerCase(), price, items };
}

function isPlainItem(item: unknown): item is PlainOrder["items"][number] {
  if (typeof item !== "object" || item === null) return false;
  const { productId, quantity, price } = item as Record<string, unknown>;
  const isQuantity = Number.isInteger(quantity) && (quantity as number) >= 1 && (quantity as number) <= QUANTITY_MAX;
  return typeof productId === "string" && isQuantity && isPrice(price);
}

/** Prices are compared with the sale's afterwards, so their range needs no check. */
function isPrice(price: unknown): price is number | undefined {
  return price === undefined || typeof price === "number";
}

function isPlainAddress(address: unknown): boolean {
  if (address === undefined) return true;
  if (typeof address !== "object" || address === null) return false;
  return Object.entries(ADDRESS_LENGTHS).every(([name, lengthMax]) => {
    const value = (address as Record<string, unknown>)[name];
    if (typeof value !== "string" || value.length < 1 || value.length > lengthMax) return false;
    return value.isWellFormed() && !value.includes("\0");
  });
}

function isPlainPayment(payment: unknown): boolean {
  if (payment === undefined) return true;
  if (typeof payment !== "object" || payment === null) return false;
  const { method, token } = payment as Record<string, unknown>;
  return method === "later" && token === undefined;
}

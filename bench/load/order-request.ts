// The request that every HTTP scenario sends: an order of one unit with an address, by a buyer of its own. Everything but
// the buyer (and the key) is laid out once, so that a request costs the generator two joins of strings. Autocannon's own
// `setupRequest` builds each request from its parts, and cost it twice as much processor time as the rest of its work.

export interface Order {
  readonly saleId: string;
  readonly productId: string;
  readonly price: number;
  /** All products of the sale, at the same price, when it has several: the requests take them in turn. */
  readonly productIds?: readonly string[];
  /** Lines of an order, each of another product; 1 when absent. */
  readonly lines?: number;
}

const NOBODY = "00000000-0000-4000-8000-000000000000";

/** The body of the order of one buyer. @param turn where in the sale's products its lines begin */
export function orderBody(
  { saleId, productId, price, productIds = [productId], lines = 1 }: Order,
  customerId: string = NOBODY,
  turn = 0,
): string {
  const items = Array.from({ length: lines }, (_, line) => ({
    productId: productIds[(turn + line) % productIds.length],
    quantity: 1,
    price,
  }));
  return JSON.stringify({
    saleId,
    customerId,
    price: price * lines,
    items,
    address: { street: "123 Main St", postalCode: "12345", city: "Seoul" },
  });
}

/** Somebody who orders again and again: a member with a token, or a guest. All ids of a crowd are as long. */
export interface Regular {
  readonly customerId: string;
  readonly token?: string;
}

/** Makes the bytes of one request after the other, each by the next of a crowd and with an Idempotency-Key of its own. */
export function crowdWriter(url: URL, order: Order, crowd: readonly Regular[], burst: string): () => string {
  const requests = crowd.map(({ customerId, token }) => {
    const body = orderBody(order, customerId);
    const authorization = token === undefined ? [] : [`Authorization: Bearer ${token}`];
    const head = [...headOf(url, body), ...authorization].join("\r\n");
    return [`${head}\r\nIdempotency-Key: `, `\r\n\r\n${body}`] as const;
  });
  let sent = 0;
  return () => {
    const [before, after] = requests[sent % requests.length] as (typeof requests)[number];
    sent += 1;
    return `${before}${burst}-0000-4000-8000-${sent.toString(16).padStart(12, "0")}${after}`;
  };
}

/** Makes the bytes of one request after the other, each by a new buyer, `keyed` with an Idempotency-Key of its own. */
export function requestWriter(url: URL, order: Order, keyed: boolean, burst: string): () => string {
  // All ids are as long, and so are all bodies.
  const bodies = (order.productIds ?? [order.productId]).map((_, turn) => orderBody(order, NOBODY, turn));
  const head = headOf(url, bodies[0] ?? "").join("\r\n");
  const withKey = `${head}\r\nIdempotency-Key: `;
  const requests = bodies.map((body) => {
    const [before, after] = body.split(NOBODY) as [string, string];
    return { withoutKey: `${head}\r\n\r\n${before}`, before: `\r\n\r\n${before}`, after };
  });
  let sent = 0;
  return () => {
    const request = requests[sent % requests.length] as (typeof requests)[number];
    sent += 1;
    const buyer = `${burst}-0000-4000-8000-${sent.toString(16).padStart(12, "0")}`;
    return keyed
      ? `${withKey}${buyer}${request.before}${buyer}${request.after}`
      : `${request.withoutKey}${buyer}${request.after}`;
  };
}

function headOf(url: URL, body: string): string[] {
  return [
    `POST ${url.pathname} HTTP/1.1`,
    `Host: ${url.host}`,
    "Connection: keep-alive",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
}

// What an administrator does over the API before a sale, and a first buyer in it.
import { randomUUID } from "node:crypto";
import { ADMIN, type Instance } from "./instance.ts";
import { type Order, orderBody } from "./load/order-request.ts";

/** A sale, open, in one partition; of one product unless `productIds` names several. */
export interface Sale extends Order {
  /** Units, over all its products. */
  readonly stock: number;
}

/** Units that no burst can sell out. */
export const AMPLE = 100_000_000;

const PRICE = 5_000;
const PER_CUSTOMER_LIMIT = 2;

export class Shop {
  readonly apiUrl: string;
  readonly #token: string;

  private constructor(apiUrl: string, token: string) {
    this.apiUrl = apiUrl;
    this.#token = token;
  }

  static async open({ apiUrl }: Instance): Promise<Shop> {
    if (apiUrl === null) throw new Error("the instance runs no API");
    const session = (await call(`${apiUrl}/api/v1/auth/login`, ADMIN)) as { accessToken: string };
    return new Shop(apiUrl, session.accessToken);
  }

  get ordersUrl(): string {
    return `${this.apiUrl}/api/v1/orders`;
  }

  /** @param reservationTtlSeconds the instance's own when absent: a day */
  async openSale(
    name: string,
    stock: number = AMPLE,
    reservationTtlSeconds?: number,
    perCustomerLimit: number = PER_CUSTOMER_LIMIT,
  ): Promise<Sale> {
    const product = (await this.#call("/products", { name, price: PRICE })) as { id: string };
    const sale = (await this.#call("/sales", {
      name,
      items: [{ productId: product.id, stock, perCustomerLimit }],
      ...(reservationTtlSeconds !== undefined && { reservationTtlSeconds }),
    })) as { id: string };
    return { saleId: sale.id, productId: product.id, price: PRICE, stock };
  }

  /** A sale of several products, `lines` of which are in each order. */
  async openAssortment(name: string, products: number, lines = 1): Promise<Sale> {
    const productIds: string[] = [];
    for (let n = 1; n <= products; n += 1) {
      const product = (await this.#call("/products", { name: `${name} ${n}`, price: PRICE })) as { id: string };
      productIds.push(product.id);
    }
    const stock = Math.floor(AMPLE / products);
    const items = productIds.map((productId) => ({ productId, stock, perCustomerLimit: PER_CUSTOMER_LIMIT }));
    const sale = (await this.#call("/sales", { name, items })) as { id: string };
    return {
      saleId: sale.id,
      productId: productIds[0] ?? "",
      productIds,
      lines,
      price: PRICE,
      stock: stock * products,
    };
  }

  /** Buys one unit. @returns the size of the answer in bytes */
  async buyOne(sale: Sale): Promise<number> {
    const response = await post(this.ordersUrl, orderBody(sale, randomUUID()));
    const text = await response.text();
    if (response.status !== 202) throw new Error(`an order was answered ${response.status}: ${text}`);
    return Buffer.byteLength(text);
  }

  /** Buys one unit. @returns the level of acknowledgement that the order reached */
  async acknowledgementOf(sale: Sale): Promise<string> {
    const response = await post(this.ordersUrl, orderBody(sale, randomUUID()));
    return ((await response.json()) as { acknowledged: string }).acknowledged;
  }

  /** Orders one unit that waits for its payment. @returns the order's id */
  async holdOne({ saleId, productId }: Sale): Promise<string> {
    const body = {
      saleId,
      customerId: randomUUID(),
      items: [{ productId, quantity: 1 }],
      payment: { method: "later" },
    };
    return ((await call(this.ordersUrl, body)) as { orderTrackingId: string }).orderTrackingId;
  }

  #call(path: string, body: unknown): Promise<unknown> {
    return call(`${this.apiUrl}/api/v1${path}`, body, { authorization: `Bearer ${this.#token}` });
  }
}

async function call(url: string, body: unknown, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await post(url, JSON.stringify(body), headers);
  if (!response.ok) throw new Error(`POST ${url} was answered ${response.status}: ${await response.text()}`);
  return response.json();
}

function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
}

// The sale of the demo, made as a shop's administrator makes one: over the admin API.
import { type HttpClient, member } from "./http.ts";
import type { Shop } from "./instance/shop.ts";

export interface FlashSale {
  readonly id: string;
  readonly name: string;
  readonly productId: string;
  readonly productName: string;
  readonly price: number;
  readonly currency: string;
  readonly units: number;
  readonly perCustomerLimit: number;
  readonly opensAt: Date;
}

const PRODUCT = {
  name: "한정판 머그컵",
  description: "백 개뿐인 머그컵 · A mug of which there are only so many",
  price: 32_000,
  currency: "KRW",
};
const PER_CUSTOMER_LIMIT = 2;

/** Makes the product and its sale. @throws when the shop does not let it */
export async function announceSale(
  http: HttpClient,
  admin: Shop["admin"],
  wanted: { units: number; opensInMs: number },
): Promise<FlashSale> {
  const session = await create(http, "/api/v1/auth/login", admin);
  const authorization = { authorization: `Bearer ${String(member(session, "accessToken"))}` };
  const product = await create(http, "/api/v1/products", PRODUCT, authorization);
  const productId = String(member(product, "id"));
  const opensAt = new Date(Date.now() + wanted.opensInMs);
  const sale = await create(
    http,
    "/api/v1/sales",
    {
      name: `${PRODUCT.name} · Demo`,
      opensAt: opensAt.toISOString(),
      items: [{ productId, stock: wanted.units, perCustomerLimit: PER_CUSTOMER_LIMIT }],
    },
    authorization,
  );
  return {
    id: String(member(sale, "id")),
    name: String(member(sale, "name")),
    productId,
    productName: PRODUCT.name,
    price: PRODUCT.price,
    currency: PRODUCT.currency,
    units: wanted.units,
    perCustomerLimit: PER_CUSTOMER_LIMIT,
    opensAt,
  };
}

/** Units that can be had, as the shop window says; undefined when it does not answer. */
export async function unitsRemaining(http: HttpClient, saleId: string): Promise<number | undefined> {
  const answer = await http.send({ method: "GET", path: `/api/v1/sales/${saleId}` });
  const items = member(answer?.body, "items");
  const remaining = Array.isArray(items) ? member(items[0], "remaining") : undefined;
  return typeof remaining === "number" ? remaining : undefined;
}

async function create(
  http: HttpClient,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const answer = await http.send({ method: "POST", path, body, headers });
  if (answer && answer.status < 300) return answer.body;
  const why = answer ? `${answer.status} ${String(member(answer.body, "detail") ?? "")}` : "no answer";
  throw new Error(`POST ${path}: ${why.trim()}`);
}

// What is sold in a chaos run: four products in one sale, made as an administrator makes one.
import { setTimeout as sleep } from "node:timers/promises";
import { HttpClient, member } from "../../demo/http.ts";
import { ADMIN, type System } from "./system.ts";

export interface Product {
  readonly id: string;
  readonly price: number;
  readonly stock: number;
  /** Units one buyer may have; undefined: any number. */
  readonly limit: number | undefined;
}

export interface Sale {
  readonly id: string;
  readonly products: readonly Product[];
}

/** One that lasts, one that is gone at once, one in between, one without a limit. */
const ASSORTMENT: readonly Omit<Product, "id">[] = [
  { price: 5_000, stock: 100_000, limit: 40 },
  { price: 32_000, stock: 25, limit: 2 },
  { price: 12_000, stock: 150, limit: 3 },
  { price: 900, stock: 100_000, limit: undefined },
];
/** The shortest that a sale may have. */
const RESERVATION_TTL_SECONDS = 5;
const OPEN_TIMEOUT_MS = 20_000;

/** Makes the sale and resolves when it can be bought from. */
export async function openSale(system: System, name: string): Promise<Sale> {
  const http = new HttpClient(system.apiUrl, 4);
  try {
    const headers = await asAdministrator(http);
    const products: Product[] = [];
    for (const [index, item] of ASSORTMENT.entries()) {
      const body = { name: `${name} ${index + 1}`, description: "for chaos", price: item.price, currency: "KRW" };
      products.push({ ...item, id: String(member(await create(http, "/api/v1/products", body, headers), "id")) });
    }
    const sale = await create(
      http,
      "/api/v1/sales",
      {
        name,
        reservationTtlSeconds: RESERVATION_TTL_SECONDS,
        items: products.map(({ id, stock, limit }) => ({
          productId: id,
          stock,
          ...(limit !== undefined && { perCustomerLimit: limit }),
        })),
      },
      headers,
    );
    const id = String(member(sale, "id"));
    await create(http, `/api/v1/sales/${id}/open`, {}, headers).catch(() => undefined); // without opensAt it is open
    await untilStocked(http, id, products);
    return { id, products };
  } finally {
    http.close();
  }
}

/** Adds units to one of the sale's products, as an administrator does. @throws when the API does not say that it did */
export async function restock(system: System, sale: Sale, product: number, quantity: number): Promise<void> {
  const http = new HttpClient(system.apiUrl, 1);
  try {
    const productId = sale.products[product]?.id;
    await create(http, `/api/v1/sales/${sale.id}/restock`, { productId, quantity }, await asAdministrator(http));
  } finally {
    http.close();
  }
}

/** Signs the administrator in. @returns the headers that show it */
export async function asAdministrator(http: HttpClient): Promise<Record<string, string>> {
  const session = await create(http, "/api/v1/auth/login", ADMIN);
  return { authorization: `Bearer ${String(member(session, "accessToken"))}` };
}

async function untilStocked(http: HttpClient, saleId: string, products: readonly Product[]): Promise<void> {
  const deadline = performance.now() + OPEN_TIMEOUT_MS;
  for (;;) {
    const answer = await http.send({ method: "GET", path: `/api/v1/sales/${saleId}` });
    const items = member(answer?.body, "items");
    const isStocked =
      member(answer?.body, "state") === "open" &&
      Array.isArray(items) &&
      items.every((item: unknown) => {
        const product = products.find(({ id }) => id === member(item, "productId"));
        return member(item, "remaining") === product?.stock;
      });
    if (isStocked) return;
    if (performance.now() > deadline) throw new Error(`The sale does not open: ${JSON.stringify(answer?.body)}`);
    await sleep(50);
  }
}

/** Posts. @throws when the API does not say that it did */
export async function create(http: HttpClient, path: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await http.send({ method: "POST", path, body, headers });
  if (answer && answer.status < 300) return answer.body;
  throw new Error(`POST ${path}: ${answer?.status ?? "no answer"} ${JSON.stringify(answer?.body)}`);
}

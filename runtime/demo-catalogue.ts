// The demo catalogue: five products with known ids, sold through the sale `catalog`.
import { configureSale, deliverAllocations } from "../engine/catalogue/lifecycle.ts";
import { createProduct } from "../engine/catalogue/products.ts";
import { CATALOG_SALE_ID, createSale } from "../engine/catalogue/sales.ts";
import { openPool, transaction } from "../engine/ledger/database.ts";
import { commandConnection, connect } from "../engine/redis/connection.ts";
import { KnownPositions } from "../engine/stock/known-positions.ts";
import { PartitionStock } from "../engine/stock/partition-stock.ts";

interface DemoProduct {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  /** Won. */
  readonly price: number;
  readonly stock: number;
}

export const DEMO_PRODUCTS: readonly DemoProduct[] = [
  {
    id: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    name: "커피",
    description: "갓 볶은 원두로 내린 커피 · Coffee from freshly roasted beans",
    price: 5_000,
    stock: 1_000,
  },
  {
    id: "1a2b3c4d-5e6f-7089-9a0b-cdef12345678",
    name: "샌드위치",
    description: "햄과 치즈를 넣은 샌드위치 · Sandwich with ham and cheese",
    price: 8_000,
    stock: 500,
  },
  {
    id: "2b3c4d5e-6f70-8192-a3b4-cdef56789012",
    name: "샐러드",
    description: "제철 채소 샐러드 · Salad of the season",
    price: 12_000,
    stock: 300,
  },
  {
    id: "3c4d5e6f-7081-92a3-b4c5-def678901234",
    name: "피자",
    description: "화덕에서 구운 피자 · Stone-oven pizza",
    price: 25_000,
    stock: 200,
  },
  {
    id: "4d5e6f70-8192-a3b4-c5d6-ef7890123456",
    name: "파스타",
    description: "토마토 파스타 · Pasta with tomato",
    price: 18_000,
    stock: 250,
  },
];

const CURRENCY = "KRW";

/**
 * Makes sure that the sale `catalog` exists; with `products`, that a new one starts with the demo's products and stock.
 * Repeatable: what exists stays as it is, and what a crash left half-done is completed.
 */
export async function seedCatalogue(options: {
  databaseUrl: string;
  redisUrl: string;
  reservationTtlMs: number;
  products: readonly DemoProduct[];
}): Promise<void> {
  const fail = (error: Error) => {
    throw error;
  };
  const pool = openPool(
    options.databaseUrl,
    { connectionsMax: 2, applicationName: "onrush-seed", statementTimeoutMs: 30_000 },
    fail,
  );
  const redis = commandConnection(options.redisUrl, 5_000);
  redis.on("error", () => undefined); // the calls below reject by themselves
  try {
    await connect(redis);
    const stock = new PartitionStock(redis, new KnownPositions());
    await transaction(pool, async (client) => {
      for (const { id, name, description, price } of options.products) {
        await createProduct(client, id, { name, description, price, currency: CURRENCY });
      }
      await createSale(
        client,
        {
          id: CATALOG_SALE_ID,
          name: "상시 판매 · Catalog",
          currency: CURRENCY,
          opensAt: new Date(0),
          closesAt: null,
          reservationTtlMs: options.reservationTtlMs,
          partitions: 1,
          onDecline: "release",
          membersOnly: false,
          stockVisibility: "exact",
          items: options.products.map((product) => ({
            productId: product.id,
            stock: product.stock,
            price: null,
            perCustomerLimit: null,
          })),
        },
        "seed",
      );
    });
    await configureSale(pool, stock, CATALOG_SALE_ID);
    await deliverAllocations(pool, stock);
  } finally {
    redis.disconnect();
    await pool.end();
  }
}

// A product's copy in Redis: a hash that redis-om reads and, where the server has the RediSearch module, searches. It says
// as of which catalogue version it was read from Postgres, and that is what it is judged by.
//
// It is written by keep.lua and not by redis-om's save, which overwrites whatever is there: a copy must never give way to
// an older one. The fields are what save would write; a test compares the two.
import { type Entity, Schema } from "redis-om";
import { z } from "zod";
import { PRODUCT_COPIES } from "../../keys.ts";
import { searchKey } from "../product-search.ts";
import type { Product, ProductAsOf } from "../products.ts";

/** What is a number or is searched is declared; the other fields are strings to redis-om, and kept as they are. */
export const copySchema = new Schema<Entity>(
  PRODUCT_COPIES,
  {
    catalogue: { type: "number" },
    isDeleted: { type: "boolean" },
    nameKey: { type: "text", stemming: false },
    description: { type: "text", stemming: false },
    price: { type: "number" },
    version: { type: "number" },
    createdAt: { type: "number" },
    updatedAt: { type: "number" },
  },
  { dataStructure: "HASH", useStopWords: "OFF" },
);

/** The entity of a product; of a deleted one nothing but that it is. Instants in milliseconds since 1970. */
export function entityOf({ catalogue, isDeleted, product }: ProductAsOf) {
  const { id, name, description, price, currency, imageUrl, version, createdAt, updatedAt } = product;
  if (isDeleted) return { catalogue, isDeleted, id, version };
  return {
    ...{ catalogue, isDeleted, id, name, nameKey: searchKey(name), description, price, currency, imageUrl, version },
    createdAt: createdAt.getTime(),
    updatedAt: updatedAt.getTime(),
  };
}

/** An entity's hash fields, as redis-om writes them. */
export function hashOf(entity: ReturnType<typeof entityOf>): Record<string, string> {
  const given = Object.entries(entity).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(typeof value === "boolean" ? +value : value)]));
}

const instant = z
  .number()
  .transform((ms) => new Date(ms))
  .refine((at) => Number.isFinite(at.getTime()));
const read = z.object({ catalogue: z.int().min(0), isDeleted: z.boolean() });
const readProduct = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  price: z.int(),
  currency: z.string(),
  imageUrl: z.string().nullable().default(null),
  version: z.int(),
  createdAt: instant,
  updatedAt: instant,
});

/** A copy as it was read; without a product it says that the product was deleted. */
export interface ProductCopy {
  readonly catalogue: number;
  readonly product: Product | undefined;
}

/** What redis-om has read; `undefined` when there is no copy. @throws ZodError when something else is there */
export function copyOf(entity: Entity): ProductCopy | undefined {
  if (entity["catalogue"] === undefined) return undefined;
  const { catalogue, isDeleted } = read.parse(entity);
  return { catalogue, product: isDeleted ? undefined : readProduct.parse(entity) };
}

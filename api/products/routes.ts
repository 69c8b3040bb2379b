// Products: what there is to sell. Reading is public, writing is for administrators.
import { randomUUID } from "node:crypto";
import { z } from "@hono/zod-openapi";
import { productSchema } from "../../engine/catalogue/input.ts";
import { createProductBy, deleteProductBy, replaceProductBy } from "../../engine/catalogue/product-operations.ts";
import { listProducts, type Product } from "../../engine/catalogue/products.ts";
import type { ProductReads } from "../../engine/catalogue/read-model/reads.ts";
import { OnrushError } from "../../engine/errors.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, text, UUID } from "../http/fields.ts";
import { etag, expectedVersion, ifMatchHeader } from "../http/if-match.ts";
import { announceCatalogue } from "../sales/propagation.ts";

const TAG = "Products";
const product = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string(),
    price: z.int().openapi({ description: "In the currency's minor unit" }),
    currency: z.string(),
    imageUrl: z.string().nullable(),
    version: z.int(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .openapi("Product");
const productPage = z.object({ items: z.array(product), nextCursor: z.string().optional() }).openapi("ProductPage");
const newProduct = productSchema().openapi("NewProduct");
const productInput = productSchema().omit({ id: true }).openapi("ProductInput");
const listQuery = page.extend({ query: text(0, 200).optional() });
const madeAtMs = z.int().min(0).max(8.64e15);
const position = z.tuple([madeAtMs, z.string().regex(UUID)]);
const searchPosition = z.tuple([z.int().min(0).max(9), madeAtMs, z.string().regex(UUID)]);

export interface ProductDependencies extends ApiDependencies {
  readonly products: ProductReads;
}

export function productRoutes(edge: Edge, deps: ProductDependencies): void {
  readRoutes(edge, deps);
  writeRoutes(edge, deps);
}

function readRoutes(edge: Edge, { pool, products }: ProductDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/products",
      summary: "List products",
      description:
        "In the order they were made. With `query`: those whose name has every word of it, or a part of a word, best first, " +
        "then those whose description has words that begin so; at most 600 are found.",
      tag: TAG,
      access: "public",
      query: listQuery,
      answers: { 200: { description: "A page", schema: productPage } },
    },
    async ({ query }) => {
      const { limit, cursor, query: wanted } = query;
      if (wanted === undefined || wanted.trim() === "") return jsonAnswer(await listPage(pool, limit, cursor));
      return jsonAnswer(await searchPage(products, wanted, limit, cursor));
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/products/{id}",
      summary: "Read a product",
      tag: TAG,
      access: "public",
      answers: { 200: { description: "The product", schema: product } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c }) => {
      const id = c.req.param("id") ?? "";
      const product = found(UUID.test(id) ? await products.find(id) : undefined);
      return jsonAnswer(product, 200, etag(product.version));
    },
  );
}

async function listPage(db: Queryable, limit: number, cursor: string | undefined) {
  const after = cursor === undefined ? undefined : decodeCursor(cursor, position);
  const found = await listProducts(db, {
    limit: limit + 1,
    ...(after && { after: { createdAt: new Date(after[0]), id: after[1] } }),
  });
  const last = found.length > limit ? found[limit - 1] : undefined;
  return {
    items: found.slice(0, limit),
    ...(last && { nextCursor: encodeCursor([last.createdAt.getTime(), last.id]) }),
  };
}

async function searchPage(products: ProductReads, query: string, limit: number, cursor: string | undefined) {
  const after = cursor === undefined ? undefined : decodeCursor(cursor, searchPosition);
  const found = await products.search({
    query,
    limit: limit + 1,
    after: after && { rank: after[0], createdAt: new Date(after[1]), id: after[2] },
  });
  const last = found.length > limit ? found[limit - 1] : undefined;
  return {
    items: found.slice(0, limit).map(({ rank: _rank, ...item }) => item),
    ...(last && { nextCursor: encodeCursor([last.rank, last.createdAt.getTime(), last.id]) }),
  };
}

function writeRoutes(edge: Edge, deps: ProductDependencies): void {
  const { pool, products } = deps;
  const tellOf = async (id: string) => {
    await products.refresh([id]);
    await announceCatalogue(deps);
  };

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/products",
      summary: "Create a product",
      tag: TAG,
      access: "admin",
      body: newProduct,
      answers: { 201: { description: "The product", schema: product } },
      refusals: ["INVALID_STATE"],
    },
    async ({ body, caller }) => {
      const { id = randomUUID(), ...input } = body;
      const created = await createProductBy(pool, id, input, { actor: caller.customerId });
      await tellOf(created.id);
      return jsonAnswer(created, 201, { location: `/api/v1/products/${created.id}`, ...etag(created.version) });
    },
  );

  endpoint(
    edge,
    {
      method: "put",
      path: "/api/v1/products/{id}",
      summary: "Replace a product",
      description: "Sales that set no price of their own sell at the new one from now on; orders keep theirs.",
      tag: TAG,
      access: "admin",
      body: productInput,
      headers: ifMatchHeader,
      answers: { 200: { description: "The product", schema: product } },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, body, caller }) => {
      const id = productId(c.req.param("id"));
      const expected = expectedVersion(c.req.header("if-match"));
      const replaced = await replaceProductBy(pool, id, body, { actor: caller.customerId }, expected);
      await tellOf(id);
      return jsonAnswer(replaced, 200, etag(replaced.version));
    },
  );

  endpoint(
    edge,
    {
      method: "delete",
      path: "/api/v1/products/{id}",
      summary: "Delete a product",
      description: "Sales stop offering it. Orders that have it stay as they are.",
      tag: TAG,
      access: "admin",
      headers: ifMatchHeader,
      answers: { 204: { description: "Deleted" } },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller }) => {
      const expected = expectedVersion(c.req.header("if-match"));
      const id = productId(c.req.param("id"));
      await deleteProductBy(pool, id, { actor: caller.customerId }, expected);
      await tellOf(id);
      return emptyAnswer();
    },
  );
}

function productId(id = ""): string {
  return UUID.test(id) ? id.toLowerCase() : found<never>(undefined);
}

function found<T = Product>(row: T | undefined): T {
  if (row === undefined) throw new OnrushError("NOT_FOUND", "There is no such product.");
  return row;
}

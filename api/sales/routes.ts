// Reading sales.
import { z } from "@hono/zod-openapi";
import type { CatalogueView, SaleView } from "../../engine/catalogue/view.ts";
import { OnrushError } from "../../engine/errors.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page } from "../http/fields.ts";
import { representSale, saleSchema } from "./representation.ts";
import type { StockView } from "./stock-view.ts";

export const SALES_TAG = "Sales";
const salePage = z.object({ items: z.array(saleSchema), nextCursor: z.string().optional() }).openapi("SalePage");
const position = z.int().min(1);

export function saleRoutes(edge: Edge, { engine }: ApiDependencies, stock: StockView): void {
  const show = async (sale: SaleView) => representSale(sale, await stock.read(sale));

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/sales",
      summary: "List sales",
      description: "In the order they were made, the sale `catalog` among them.",
      tag: SALES_TAG,
      access: "public",
      query: page,
      answers: { 200: { description: "A page", schema: salePage } },
      refusals: ["STOCK_UNAVAILABLE"],
    },
    async ({ query: { limit, cursor } }) => {
      const after = cursor === undefined ? 0 : decodeCursor(cursor, position);
      const rest = [...engine.catalogue.sales()].filter((sale) => sale.no > after);
      const sales = rest.slice(0, limit);
      const last = rest.length > limit ? sales.at(-1) : undefined;
      return jsonAnswer({
        items: await Promise.all(sales.map(show)),
        ...(last && { nextCursor: encodeCursor(last.no) }),
      });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/sales/{id}",
      summary: "Read a sale",
      tag: SALES_TAG,
      access: "public",
      answers: { 200: { description: "The sale", schema: saleSchema } },
      refusals: ["NOT_FOUND", "STOCK_UNAVAILABLE"],
    },
    async ({ c }) => jsonAnswer(await show(knownSale(engine.catalogue, c.req.param("id")))),
  );
}

/** @throws OnrushError with `NOT_FOUND` */
export function knownSale(catalogue: CatalogueView, id = ""): SaleView {
  const sale = catalogue.sale(id);
  if (!sale) throw new OnrushError("NOT_FOUND", "There is no such sale.");
  return sale;
}

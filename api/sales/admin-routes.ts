// Running sales: administrators create, change, open, pause, close and restock them.
import { findProduct } from "../../engine/catalogue/products.ts";
import {
  addSaleItem,
  allocate,
  CATALOG_SALE_ID,
  createSale,
  type SalePatch,
  updateSale,
} from "../../engine/catalogue/sales.ts";
import type { SaleView } from "../../engine/catalogue/view.ts";
import { OnrushError } from "../../engine/errors.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { invalid } from "../http/fields.ts";
import { newSale, restockRequest, salePatch } from "./admin-schemas.ts";
import { announceCatalogue, carryToRedis, putInForce } from "./propagation.ts";
import { representSale, saleSchema } from "./representation.ts";
import { knownSale, SALES_TAG } from "./routes.ts";
import type { StockView } from "./stock-view.ts";

const ANSWER = { description: "The sale", schema: saleSchema } as const;

export function saleAdminRoutes(edge: Edge, deps: ApiDependencies, stock: StockView): void {
  const { pool, engine, redis } = deps;
  const show = async (saleId: string) => {
    stock.forget(saleId);
    const sale = knownSale(engine.catalogue, saleId);
    return representSale(sale, await stock.read(sale));
  };
  /** "Now" as the scripts see it: they open and close sales by it. */
  const redisNow = async () => new Date(await redisNowMs(redis));
  const change = async (sale: SaleView, patch: SalePatch) => {
    if (!(await updateSale(pool, sale.id, patch))) knownSale(engine.catalogue, undefined);
    await putInForce(deps, sale.id);
    return jsonAnswer(await show(sale.id));
  };

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/sales",
      summary: "Create a sale",
      description: "It opens by its time (now, when none is given). All items are in one currency.",
      tag: SALES_TAG,
      access: "admin",
      body: newSale,
      answers: { 201: ANSWER },
      refusals: ["INVALID_STATE", "STOCK_UNAVAILABLE"],
    },
    async ({ body, caller }) => {
      const opensAt = body.opensAt ?? (await redisNow());
      const closesAt = body.closesAt ?? null;
      checkWindow(opensAt, closesAt);
      const id = await transaction(pool, async (client) => {
        let currency: string | undefined;
        for (const [i, { productId }] of body.items.entries()) {
          const product = await findProduct(client, productId);
          if (!product) throw invalid(`items.${i}.productId`, "there is no such product");
          currency ??= product.currency;
          if (product.currency !== currency) throw invalid(`items.${i}.productId`, `is not sold in ${currency}`);
        }
        if (currency === undefined) throw invalid("items", "a sale needs at least one item");
        const { reservationTtlSeconds, closesAt: _closesAt, items, id: wantedId, ...rest } = body;
        return createSale(
          client,
          {
            ...rest,
            ...(wantedId !== undefined && { id: wantedId }),
            currency,
            opensAt,
            closesAt,
            reservationTtlMs: reservationTtlSeconds ? reservationTtlSeconds * 1_000 : deps.config.reservationTtlMs,
            items: items.map(({ productId, stock: units, price = null, perCustomerLimit = null }) => ({
              productId,
              stock: units,
              price,
              perCustomerLimit,
            })),
          },
          caller.customerId,
        );
      });
      if (id === undefined) throw new OnrushError("INVALID_STATE", "There is a sale with this id.", { id: body.id });
      // Without Redis the sale exists all the same: a sweep carries it there, and a second POST would make a second one.
      await carryToRedis(deps, id);
      await announceCatalogue(deps);
      return jsonAnswer(await show(id), 201, { location: `/api/v1/sales/${id}` });
    },
  );

  endpoint(
    edge,
    {
      method: "patch",
      path: "/api/v1/sales/{id}",
      summary: "Change a sale",
      description: "Changes what is sent, for orders from now on; reservations that are held keep their deadline.",
      tag: SALES_TAG,
      access: "admin",
      body: salePatch,
      answers: { 200: ANSWER },
      refusals: ["NOT_FOUND", "STOCK_UNAVAILABLE"],
    },
    async ({ c, body }) => {
      const sale = knownSale(engine.catalogue, c.req.param("id"));
      const { reservationTtlSeconds, ...rest } = body;
      const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
      const patch: SalePatch = {
        ...given,
        ...(reservationTtlSeconds !== undefined && { reservationTtlMs: reservationTtlSeconds * 1_000 }),
      };
      checkWindow(patch.opensAt ?? sale.opensAt, patch.closesAt === undefined ? sale.closesAt : patch.closesAt);
      return change(sale, patch);
    },
  );

  const action = (name: string, summary: string, work: (sale: SaleView) => SalePatch | Promise<SalePatch>) =>
    endpoint(
      edge,
      {
        method: "post",
        path: `/api/v1/sales/{id}/${name}`,
        summary,
        tag: SALES_TAG,
        access: "admin",
        answers: { 200: ANSWER },
        refusals: ["NOT_FOUND", "INVALID_STATE", "STOCK_UNAVAILABLE"],
      },
      async ({ c }) => {
        const sale = knownSale(engine.catalogue, c.req.param("id"));
        return change(sale, await work(sale));
      },
    );

  action("open", "Open a sale now, whatever its opening time; also after a pause or a close", async (sale) => {
    const now = await redisNow();
    if (sale.closesAt !== null && sale.closesAt <= now) {
      throw new OnrushError("INVALID_STATE", "The sale's closing time has passed; change it first.", {
        closesAt: sale.closesAt,
      });
    }
    return { admission: "open", ...(sale.opensAt > now && { opensAt: now }) };
  });
  action("pause", "Take no orders until the sale is opened again", (sale) => {
    if (sale.admission === "closed") throw new OnrushError("INVALID_STATE", "The sale is closed.");
    return { admission: "paused" };
  });
  action("close", "Take no more orders", () => ({ admission: "closed" }));

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/sales/{id}/restock",
      summary: "Add units of a product",
      description: "Restocking the sale `catalog` with a product that it does not have adds the product.",
      tag: SALES_TAG,
      access: "admin",
      body: restockRequest,
      answers: { 200: ANSWER },
      refusals: ["NOT_FOUND", "STOCK_UNAVAILABLE"],
    },
    async ({ c, body: { productId, quantity }, caller }) => {
      const sale = knownSale(engine.catalogue, c.req.param("id"));
      const isNew = !sale.itemOf.has(productId);
      if (isNew && sale.id !== CATALOG_SALE_ID) {
        throw new OnrushError("NOT_FOUND", "This sale does not offer that product.", { productId });
      }
      await transaction(pool, async (client) => {
        if (isNew) {
          const product = await findProduct(client, productId);
          if (!product) throw new OnrushError("NOT_FOUND", "There is no such product.", { productId });
          if (product.currency !== sale.currency) throw invalid("productId", `is not sold in ${sale.currency}`);
          await addSaleItem(client, sale.id, { productId, price: null, perCustomerLimit: null });
        }
        await allocate(client, sale, productId, quantity, "restock", caller.customerId);
      });
      // The units are committed: without Redis a sweep delivers them, and a second POST would add them twice.
      await carryToRedis(deps, sale.id);
      await announceCatalogue(deps);
      return jsonAnswer(await show(sale.id));
    },
  );
}

function checkWindow(opensAt: Date, closesAt: Date | null): void {
  if (closesAt !== null && closesAt <= opensAt) throw invalid("closesAt", "must be later than opensAt");
}

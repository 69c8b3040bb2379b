// Running sales: administrators create, change, open, pause and close them, and change their stock.
import type { Operator } from "../../engine/catalogue/operator.ts";
import {
  closeSaleBy,
  createSaleBy,
  editSaleBy,
  openSaleBy,
  pauseSaleBy,
} from "../../engine/catalogue/sale-operations.ts";
import type { Sale } from "../../engine/catalogue/sales.ts";
import { restockBy, writeOffBy } from "../../engine/catalogue/stock-operations.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { invalid } from "../http/fields.ts";
import { expectedVersion, ifMatchHeader } from "../http/if-match.ts";
import { newSale, restockRequest, salePatch, writeOffRequest } from "./admin-schemas.ts";
import { announceCatalogue, carryToRedis, putInForce } from "./propagation.ts";
import { representSale, saleSchema } from "./representation.ts";
import { knownSale, SALES_TAG } from "./routes.ts";
import type { StockView } from "./stock-view.ts";

const ANSWER = { description: "The sale", schema: saleSchema } as const;

export function saleAdminRoutes(edge: Edge, deps: ApiDependencies, stock: StockView): void {
  const show = async (saleId: string) => {
    stock.forget(saleId);
    const sale = knownSale(deps.engine.catalogue, saleId);
    return representSale(sale, await stock.read(sale));
  };
  lifeRoutes(edge, deps, show);
  stockRoutes(edge, deps, show);
}

type Show = (saleId: string) => Promise<ReturnType<typeof representSale>>;

function lifeRoutes(edge: Edge, deps: ApiDependencies, show: Show): void {
  const { pool, redis } = deps;
  /** "Now" as the scripts see it: they open and close sales by it. */
  const redisNow = async () => new Date(await redisNowMs(redis));
  const enforce = async (sale: Sale) => {
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
      const defaults = { now: body.opensAt ?? (await redisNow()), reservationTtlMs: deps.config.reservationTtlMs };
      const id = await createSaleBy(pool, body, defaults, { actor: caller.customerId });
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
      description:
        "Changes what is sent, for orders from now on; reservations that are held keep their deadline, orders their " +
        "price. Items that are named are changed, or added with `stock` units; the others stay. With `version`, or " +
        "`If-Match`, the edit is refused (INVALID_STATE) when the sale was changed since.",
      tag: SALES_TAG,
      access: "admin",
      body: salePatch,
      headers: ifMatchHeader,
      answers: { 200: ANSWER },
      refusals: ["NOT_FOUND", "INVALID_STATE", "STOCK_UNAVAILABLE"],
    },
    async ({ c, body, caller }) => {
      const expected = expectedVersion(c.req.header("if-match"));
      if (expected !== undefined && body.version !== undefined && expected !== body.version) {
        throw invalid("version", "is another one than If-Match");
      }
      const edit = expected === undefined ? body : { ...body, version: expected };
      return enforce(await editSaleBy(pool, c.req.param("id") ?? "", edit, { actor: caller.customerId }));
    },
  );

  const action = (name: string, summary: string, work: (saleId: string, operator: Operator) => Promise<Sale>) =>
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
      async ({ c, caller }) => enforce(await work(c.req.param("id") ?? "", { actor: caller.customerId })),
    );

  action("open", "Open a sale now, whatever its opening time; also after a pause or a close", async (id, operator) =>
    openSaleBy(pool, id, await redisNow(), operator),
  );
  action("pause", "Take no orders until the sale is opened again", (id, operator) => pauseSaleBy(pool, id, operator));
  action("close", "Take no more orders", (id, operator) => closeSaleBy(pool, id, operator));
}

function stockRoutes(edge: Edge, deps: ApiDependencies, show: Show): void {
  const { pool, engine } = deps;

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
    async ({ c, body, caller }) => {
      const operator = { actor: caller.customerId, reason: body.reason };
      const sale = await restockBy(pool, c.req.param("id") ?? "", body, operator);
      // The units are committed: without Redis a sweep delivers them, and a second POST would add them twice.
      await carryToRedis(deps, sale.id);
      await announceCatalogue(deps);
      return jsonAnswer(await show(sale.id));
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/sales/{id}/write-off",
      summary: "Take unsold units of a product away",
      description:
        "Units that were stolen, broken or counted wrongly. INVALID_STATE when fewer are unsold (`available`); when " +
        "buyers took some in between, `writtenOff` says how many were taken away.",
      tag: SALES_TAG,
      access: "admin",
      body: writeOffRequest,
      answers: { 200: ANSWER },
      refusals: ["NOT_FOUND", "INVALID_STATE", "STOCK_UNAVAILABLE"],
    },
    async ({ c, body, caller }) => {
      const operator = { actor: caller.customerId, reason: body.reason };
      const sale = await writeOffBy({ pool, stock: engine.stock }, c.req.param("id") ?? "", body, operator);
      await deps.engine.catalogue.refresh();
      return jsonAnswer(await show(sale.id));
    },
  );
}

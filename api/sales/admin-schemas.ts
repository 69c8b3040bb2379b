// Bodies of the requests that run sales, as the engine checks them, under the names of the API's documentation.
import "@hono/zod-openapi"; // gives schemas their .openapi()
import { newSaleSchema, restockSchema, saleEditSchema, writeOffSchema } from "../../engine/catalogue/input.ts";

export const newSale = newSaleSchema().openapi("NewSale");

export const salePatch = saleEditSchema().openapi("SalePatch");

export const restockRequest = restockSchema().openapi("RestockRequest");

export const writeOffRequest = writeOffSchema().openapi("WriteOffRequest");

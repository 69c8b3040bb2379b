// Bodies of the requests that run sales, as the engine checks them, under the names of the API's documentation.
import { z } from "@hono/zod-openapi";
import { newSaleSchema, restockSchema, saleEditSchema, writeOffSchema } from "../../engine/catalogue/input.ts";

export const newSale = newSaleSchema().openapi("NewSale");

export const salePatch = saleEditSchema().openapi("SalePatch");

export const restockRequest = restockSchema().openapi("RestockRequest");

export const writeOffRequest = writeOffSchema().openapi("WriteOffRequest");

/** `If-Match: "7"`: the version that the edit was made of. */
export const ifMatch = z.object({
  "If-Match": z
    .string()
    .regex(/^(W\/)?"?\d{1,15}"?$/, "must be a version in quotes")
    .optional()
    .openapi({ description: "The sale's `version`, in quotes; another one than the sale's refuses the edit" }),
});

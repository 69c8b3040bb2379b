// Bodies of the requests that run sales.
import { z } from "@hono/zod-openapi";
import { amount, instant, text, uuid } from "../http/fields.ts";

/** Units that one allocation may add; Redis' script arithmetic is exact far beyond. */
const UNITS_MAX = 1_000_000_000;
const ITEMS_MAX = 1_000;

const reservationTtlSeconds = z.int().min(5).max(86_400);
const settings = {
  name: text(1, 200),
  opensAt: instant,
  closesAt: instant.nullable(),
  reservationTtlSeconds,
  onDecline: z.enum(["release", "hold"]),
  membersOnly: z.boolean(),
  stockVisibility: z.enum(["exact", "band"]),
};

export const newSale = z
  .object({
    id: z
      .string()
      .regex(/^[a-z0-9-]{1,36}$/, "must be 1 to 36 small letters, digits and hyphens")
      .optional(),
    name: settings.name,
    opensAt: settings.opensAt.optional(),
    closesAt: settings.closesAt.optional(),
    items: z
      .array(
        z.object({
          productId: uuid,
          stock: z.int().min(0).max(UNITS_MAX),
          price: amount.nullish().transform((price) => price ?? undefined),
          perCustomerLimit: z
            .int()
            .min(1)
            .max(1_000_000)
            .nullish()
            .transform((limit) => limit ?? undefined),
        }),
      )
      .min(1)
      .max(ITEMS_MAX)
      .refine((items) => new Set(items.map((item) => item.productId)).size === items.length, "names a product twice"),
    reservationTtlSeconds: reservationTtlSeconds.optional(),
    partitions: z.int().min(1).max(256).default(1),
    onDecline: settings.onDecline.default("release"),
    membersOnly: settings.membersOnly.default(false),
    stockVisibility: settings.stockVisibility.default("exact"),
  })
  .openapi("NewSale");

export const salePatch = z.object(settings).partial().openapi("SalePatch");

export const restockRequest = z
  .object({ productId: uuid, quantity: z.int().min(1).max(UNITS_MAX) })
  .openapi("RestockRequest");

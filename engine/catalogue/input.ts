// What operators may give for products, sales and stock: one set of schemas for the API's bodies, the CLI's options and
// the files that it imports. Made by functions, because the API's documentation can only name schemas that were made after
// it was loaded.
import { z } from "zod";
import { AMOUNT_MAX, DEFAULT_CURRENCY } from "../money.ts";

/** Units that one allocation may add; Redis' script arithmetic is exact far beyond. */
export const UNITS_MAX = 1_000_000_000;
export const SALE_ITEMS_MAX = 1_000;
export const LIMIT_MAX = 1_000_000;
export const REASON_MAX = 500;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Text of `min` to `max` UTF-16 units that Postgres can hold: no NUL, no half of a surrogate pair. */
export function text(min: number, max: number) {
  return z
    .string()
    .min(min)
    .max(max)
    .refine((value) => value.isWellFormed() && !value.includes("\0"), "must be well-formed text without NUL");
}

export const amountSchema = () => z.int().min(0).max(AMOUNT_MAX);
export const uuidSchema = () => z.string().regex(UUID, "must be a UUID").toLowerCase();
export const limitSchema = () => z.int().min(1).max(LIMIT_MAX);
export const unitsSchema = () => z.int().min(1).max(UNITS_MAX);
export const reasonSchema = () => text(1, REASON_MAX);
export const saleIdSchema = () =>
  z.string().regex(/^[a-z0-9-]{1,36}$/, "must be 1 to 36 small letters, digits and hyphens");

/** An instant with its offset, e.g. 2026-11-27T10:00:00+09:00. */
export function instantSchema() {
  return z.iso
    .datetime({ offset: true, error: "must be an instant with its offset, such as 2026-11-27T10:00:00+09:00" })
    .transform((value) => new Date(value))
    .refine((value) => Number.isFinite(value.getTime()), "must be an instant");
}

/** A product; without an id it is a new one. */
export function productSchema() {
  return z.object({
    id: uuidSchema().optional(),
    name: text(1, 200),
    description: text(0, 10_000).default(""),
    price: amountSchema(),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, "must be an ISO 4217 code")
      .default(DEFAULT_CURRENCY),
    imageUrl: z
      .url({ protocol: /^https?$/, error: "must be an http or https URL" })
      .max(2_000)
      .refine((value) => !value.includes("\0"))
      .nullish(),
  });
}

/** The settings of a sale that may change during its life. */
export function saleSettings() {
  return {
    name: text(1, 200),
    opensAt: instantSchema(),
    closesAt: instantSchema().nullable(),
    reservationTtlSeconds: z.int().min(5).max(86_400),
    onDecline: z.enum(["release", "hold"]),
    membersOnly: z.boolean(),
    stockVisibility: z.enum(["exact", "band"]),
  };
}

const onceEach = <T extends { productId: string }>(items: readonly T[]) =>
  new Set(items.map((item) => item.productId)).size === items.length;

/** A new sale. */
export function newSaleSchema() {
  const settings = saleSettings();
  const item = z.object({
    productId: uuidSchema(),
    stock: z.int().min(0).max(UNITS_MAX),
    price: amountSchema().nullish(),
    perCustomerLimit: limitSchema().nullish(),
  });
  return z.object({
    id: saleIdSchema().optional(),
    name: settings.name,
    opensAt: settings.opensAt.optional(),
    closesAt: settings.closesAt.nullish(),
    items: z.array(item).min(1).max(SALE_ITEMS_MAX).refine(onceEach, "names a product twice"),
    reservationTtlSeconds: settings.reservationTtlSeconds.optional(),
    partitions: z.int().min(1).max(256).default(1),
    onDecline: settings.onDecline.default("release"),
    membersOnly: settings.membersOnly.default(false),
    stockVisibility: settings.stockVisibility.default("exact"),
  });
}
export type NewSale = z.output<ReturnType<typeof newSaleSchema>>;

/** Changes of a sale. Items that are named are changed, or added with `stock` units; the others stay. */
export function saleEditSchema() {
  const item = z.object({
    productId: uuidSchema(),
    price: amountSchema().nullable().optional(),
    perCustomerLimit: limitSchema().nullable().optional(),
    stock: z.int().min(0).max(UNITS_MAX).optional(),
  });
  return z
    .object({
      ...saleSettings(),
      items: z.array(item).max(SALE_ITEMS_MAX).refine(onceEach, "names a product twice"),
      version: z.int().min(1),
      reason: reasonSchema(),
    })
    .partial();
}
export type SaleEdit = z.output<ReturnType<typeof saleEditSchema>>;

export function restockSchema() {
  return z.object({ productId: uuidSchema(), quantity: unitsSchema(), reason: reasonSchema().optional() });
}

/** A write-off destroys units: it says why. */
export function writeOffSchema() {
  return z.object({ productId: uuidSchema(), quantity: unitsSchema(), reason: reasonSchema() });
}

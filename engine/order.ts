// An accepted order as it travels in the movement log: what the API fixed at admission and Postgres will hold.

export const PAYMENT_METHODS = ["card", "wallet", "later"] as const;
export type PaymentMethod = (typeof PAYMENT_METHODS)[number];

export interface Address {
  readonly street: string;
  readonly postalCode: string;
  readonly city: string;
}

/** One line, at the name and price that held when the order was accepted. `unitPrice` is in minor units. */
export interface OrderLine {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: number;
}

/** Upper and lower case are one. */
export const COUPON_CODE = /^[A-Za-z0-9_-]{1,40}$/;
export const COUPON_CODE_RULE = "must be 1 to 40 letters, digits, - or _";

/** What an order's price is lowered by, in minor units of its currency. */
export interface OrderDiscounts {
  /** `id`: the coupon's product, of which the order's last line takes one unit. */
  readonly coupon?: { readonly id: string; readonly code: string; readonly amount: number };
  /** One is worth one minor unit. */
  readonly points?: number;
}

/** The JSON of one order in the log. */
export interface OrderPayload {
  readonly customerId: string;
  readonly lines: readonly OrderLine[];
  /** Total before discounts, and what is to be paid; minor units. */
  readonly price: number;
  readonly payable: number;
  /** Absent: there are none. */
  readonly discounts?: OrderDiscounts;
  readonly currency: string;
  readonly payment: { readonly method: PaymentMethod; readonly token?: string };
  readonly onDecline: "release" | "hold";
  readonly address?: Address;
  readonly idempotencyScope?: string;
  readonly payloadHash?: string;
}

/** Discounts under the names that clients know; members only as far as there are any. */
export interface DiscountsView {
  readonly couponCode?: string;
  /** What the coupon took off. */
  readonly discount?: number;
  readonly points?: number;
}

export function representDiscounts(discounts: OrderDiscounts | null | undefined): DiscountsView | undefined {
  if (!discounts) return undefined;
  const { coupon, points } = discounts;
  return { ...(coupon && { couponCode: coupon.code, discount: coupon.amount }), ...(points && { points }) };
}

/** The line that takes one of a coupon's uses, which are units of its product. */
export function lineOfUse({ id, code }: { readonly id: string; readonly code: string }): OrderLine {
  return { productId: id, name: code, quantity: 1, unitPrice: 0 };
}

/** The lines that the buyer has bought: all but the one that takes a coupon's use. */
export function boughtLines<Line extends { readonly productId: string }>(
  lines: readonly Line[],
  discounts: OrderDiscounts | undefined,
): readonly Line[] {
  const coupon = discounts?.coupon;
  return coupon ? lines.filter(({ productId }) => productId !== coupon.id) : lines;
}

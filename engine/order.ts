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

/** The JSON of one order in the log. */
export interface OrderPayload {
  readonly customerId: string;
  readonly lines: readonly OrderLine[];
  /** Total before discounts, and what is to be paid; minor units. */
  readonly price: number;
  readonly payable: number;
  readonly currency: string;
  readonly payment: { readonly method: PaymentMethod; readonly token?: string };
  readonly onDecline: "release" | "hold";
  readonly address?: Address;
  readonly idempotencyScope?: string;
  readonly payloadHash?: string;
}

// What a cart is, and what may be put into it. A cart promises nothing: prices and stock are those of the moment it is
// looked at, and units are reserved by the order alone.
import { OnrushError } from "../errors.ts";
import { QUANTITY_MAX } from "../money.ts";

export interface CartLine {
  readonly saleId: string;
  readonly productId: string;
  /** Units, 1 to {@link QUANTITY_MAX}. */
  readonly quantity: number;
}

export interface Cart {
  readonly customerId: string;
  /** Grows with every change; 0: nothing was ever put in. */
  readonly version: number;
  /** In the order in which they were put in; a product stands once a sale. */
  readonly lines: readonly CartLine[];
  readonly updatedAt: Date | undefined;
}

/** As many lines as an order may have. */
export const CART_LINES_MAX = 100;
/** A cart that nobody touches is forgotten after this time. */
export const CART_DAYS = 30;

type LineName = Pick<CartLine, "saleId" | "productId">;
const isSame = (a: LineName, b: LineName) => a.saleId === b.saleId && a.productId === b.productId;

/** Sets a product's quantity. @throws OnrushError with `VALIDATION` when the cart is full */
export function putLine(lines: readonly CartLine[], line: CartLine): CartLine[] {
  if (lines.some((known) => isSame(known, line))) return lines.map((known) => (isSame(known, line) ? line : known));
  if (lines.length >= CART_LINES_MAX) {
    const message = `a cart has at most ${CART_LINES_MAX} products`;
    throw new OnrushError("VALIDATION", `Not valid: ${message}.`, { errors: [{ path: "", message }] });
  }
  return [...lines, line];
}

/** Takes a product out; without a sale out of every sale. */
export function removeLine(lines: readonly CartLine[], productId: string, saleId?: string): CartLine[] {
  return lines.filter((line) => line.productId !== productId || (saleId !== undefined && line.saleId !== saleId));
}

/** Takes out what was ordered: a line that was raised meanwhile keeps the rest. */
export function removeOrdered(lines: readonly CartLine[], ordered: readonly CartLine[]): CartLine[] {
  return lines.flatMap((line) => {
    const taken = ordered.find((of) => isSame(of, line))?.quantity ?? 0;
    return line.quantity > taken ? [{ ...line, quantity: line.quantity - taken }] : [];
  });
}

/** Lines join what is there, quantities added up; as much of it as fits. */
export function mergeLines(lines: readonly CartLine[], joining: readonly CartLine[]): CartLine[] {
  const merged = [...lines];
  for (const line of joining) {
    const at = merged.findIndex((known) => isSame(known, line));
    const known = merged[at];
    if (known) merged[at] = { ...known, quantity: Math.min(known.quantity + line.quantity, QUANTITY_MAX) };
    else if (merged.length < CART_LINES_MAX) merged.push(line);
  }
  return merged;
}

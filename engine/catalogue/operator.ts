// Who runs the shop, as the operations on products, sales and stock record it.
import { OnrushError } from "../errors.ts";

export interface Operator {
  /** A member's id, or `cli:` and the account on the machine. */
  readonly actor: string;
  readonly reason?: string | undefined;
}

/** A refusal of one field of what an operator gave. `path` is dotted. */
export function invalidInput(path: string, message: string): OnrushError {
  return new OnrushError("VALIDATION", `Not valid: ${path}: ${message}.`, { errors: [{ path, message }] });
}

const SALE_ID = /^[a-z0-9-]{1,36}$/;

/** What cannot be a sale's id names none, and is not looked for. @throws OnrushError with `NOT_FOUND` */
export function checkSaleId(saleId: string): void {
  if (!SALE_ID.test(saleId)) throw unknownSale(saleId);
}

export function unknownSale(saleId: string): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such sale.", { saleId });
}

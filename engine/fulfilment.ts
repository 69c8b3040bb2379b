// What becomes of the goods of a confirmed order. It only goes forward, and a step may be left out: a shop that never says
// "packed" may say "shipped".
import { z } from "zod";
import { text } from "./catalogue/input.ts";

export const FULFILMENT_STATES = ["packed", "shipped", "delivered"] as const;
export type FulfilmentState = (typeof FULFILMENT_STATES)[number];

/** A step, as the timeline keeps it. `reference`: a parcel's number or the like. */
export interface FulfilmentStep {
  readonly state: FulfilmentState;
  readonly reference: string | null;
}

export interface Fulfilment extends FulfilmentStep {
  readonly at: Date;
}

/** What orders can be looked for by: a state, or `none` where nothing was said yet. */
export const FULFILMENT_FILTERS = ["none", ...FULFILMENT_STATES] as const;
export type FulfilmentFilter = (typeof FULFILMENT_FILTERS)[number];

const REFERENCE_MAX = 200;

/** What an operator gives, over the API and the CLI. A function, as the schemas of `catalogue/input.ts` are. */
export function fulfilmentSchema() {
  return z.object({ state: z.enum(FULFILMENT_STATES), reference: text(1, REFERENCE_MAX).optional() });
}

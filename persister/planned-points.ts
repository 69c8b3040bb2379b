// The points that a batch's new orders spend, on the way through the batch: in the order of the log, as far as they go.
import type { OrderPayload } from "../engine/order.ts";
import type { PointsAccount } from "../engine/points/accounts.ts";
import type { WantedPoints } from "../engine/points/order-points.ts";

export class PlannedPoints {
  readonly #balances: Map<string, number>;
  readonly spent: WantedPoints[] = [];

  constructor(accounts: readonly PointsAccount[]) {
    this.#balances = new Map(accounts.map(({ customerId, balance }) => [customerId, balance]));
  }

  /**
   * Spends an order's points. Whoever looked at the balance before did so without a lock, so that of orders that came at once
   * some may not have enough any more.
   *
   * @returns whether there were enough, or none were wanted
   */
  spend(orderId: string, { customerId, discounts }: OrderPayload): boolean {
    const points = discounts?.points ?? 0;
    if (points === 0) return true;
    const left = (this.#balances.get(customerId) ?? 0) - points;
    if (left < 0) return false;
    this.#balances.set(customerId, left);
    this.spent.push({ orderId, customerId, points });
    return true;
  }
}

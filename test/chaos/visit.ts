// What one buyer does: orders, looks, changes their mind; and what operators do about the order afterwards.
import { setTimeout as sleep } from "node:timers/promises";
import type { HttpClient } from "../../demo/http.ts";
import type { Random } from "../../demo/random.ts";
import { type End, insist, once } from "./asking.ts";
import type { Asked, History, Line } from "./history.ts";
import type { Member, People } from "./people.ts";
import type { Sale } from "./shop.ts";

export interface Wish {
  /** A guest by their UUID, or a member, who shows a token. */
  readonly buyer: string | Member;
  readonly key: string;
  readonly items: readonly Line[];
  readonly payment: { readonly method: string; readonly token?: string } | undefined;
  readonly next: "watch" | "cancel" | "pay" | "leave";
  /** What is to lower its price; a member's. */
  readonly discounts?: { readonly couponCode?: string; readonly points?: number };
  /** What is paid into the buyer's wallet before. */
  readonly deposit?: { readonly key: string; readonly amount: number };
  /** What operators refund of it once it is confirmed, one after the other. */
  readonly refunds?: readonly RefundWish[];
}

export interface RefundWish {
  readonly key: string;
  readonly body: {
    readonly items?: readonly Line[];
    readonly amount?: number;
    readonly restock?: boolean;
  };
}

export interface Surroundings {
  readonly http: HttpClient;
  readonly history: History;
  readonly sale: Sale;
  readonly people: People | undefined;
  readonly random: Random;
  givesUpAt(): number;
}

const CONFIRMED_POLL_MS = 300;
const ENDS: readonly (string | undefined)[] = ["CONFIRMED", "CANCELLED", "REFUND_PENDING", "REFUNDED"];

export async function visit(at: Surroundings, wish: Wish): Promise<void> {
  const { http, history, sale, random, givesUpAt } = at;
  const { key, items, payment } = wish;
  const isMember = typeof wish.buyer !== "string";
  const buyer = typeof wish.buyer === "string" ? wish.buyer : wish.buyer.id;
  const headers = typeof wish.buyer === "string" ? {} : { authorization: `Bearer ${wish.buyer.token}` };
  const next = (operation: Asked["operation"], orderId?: string): Asked => {
    return { op: history.nextOperation(), operation, buyer, ...(orderId !== undefined && { orderId }) };
  };
  const operate = (asked: Asked, path: string, of: unknown, operatorsKey: string) =>
    insist(history, asked, random, givesUpAt, () =>
      http.send({
        method: "POST",
        path,
        headers: { ...at.people?.administrator, "idempotency-key": operatorsKey },
        body: of,
      }),
    );
  if (wish.deposit) {
    const { amount, key: depositKey } = wish.deposit;
    await operate(next("deposit"), `/api/v1/wallets/${buyer}/deposits`, { amount }, depositKey);
  }

  const what = { items, ...(payment && { payment }), ...wish.discounts };
  const asked: Asked = { ...next("place"), key, ...what };
  const body = { saleId: sale.id, ...(!isMember && { customerId: buyer }), ...what };
  const place = () =>
    http.send({ method: "POST", path: "/api/v1/orders", headers: { ...headers, "idempotency-key": key }, body });
  const orderId = (await insist(history, asked, random, givesUpAt, place))?.orderId;
  if (orderId === undefined) return;
  // An impatient second press after the answer: the key must lead to the same order.
  if (random() < 0.1) await once(history, asked, 100, place);
  await sleep(100 + random() * 400);
  const change = (operation: "cancel" | "pay", path: string, of: unknown) =>
    insist(history, next(operation, orderId), random, givesUpAt, () =>
      http.send({ method: "POST", path: `/api/v1/orders/${orderId}/${path}`, headers, body: of }),
    );
  const read = (): Promise<End> =>
    once(history, next("read", orderId), 1, () =>
      http.send({ method: "GET", path: `/api/v1/orders/${orderId}`, headers }),
    );
  if (wish.next === "cancel") await change("cancel", "cancel", {});
  if (wish.next === "pay") await change("pay", "payments", { method: "card", token: "tok_ok" });
  if (random() < 0.25) await read();

  for (const refund of wish.refunds ?? []) {
    while (performance.now() < givesUpAt() && !ENDS.includes((await read()).learned.orderStatus)) {
      await sleep(CONFIRMED_POLL_MS);
    }
    await operate(next("refund", orderId), `/api/v1/orders/${orderId}/refunds`, refund.body, refund.key);
  }
}

// `onrush orders show` and `onrush orders cancel`.
import type { Command } from "commander";
import type { FulfilmentStep } from "../../engine/fulfilment.ts";
import { type Cancellation, cancelInLedger, wishCancelled } from "../../engine/ledger/cancellation.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { findOrder, type OrderWithLines, type TimelineEntry } from "../../engine/ledger/orders.ts";
import { listRefunds, type RefundRow } from "../../engine/ledger/refunds.ts";
import { boughtLines } from "../../engine/order.ts";
import { parseOrderId } from "../../engine/order-id.ts";
import { findPendingOrder } from "../../engine/pending.ts";
import { addCommand } from "../command.ts";
import { CommandError, UsageError } from "../failure.ts";
import { type Servers, withServers } from "../servers.ts";
import { details, table } from "../table.ts";

/** An order as Postgres has it, or, on its way there, as Redis has it: `PENDING`, without a timeline. */
type ShownOrder = Pick<
  OrderWithLines,
  | "id"
  | "saleId"
  | "customerId"
  | "price"
  | "payable"
  | "discounts"
  | "currency"
  | "reservedUntil"
  | "placedAt"
  | "lines"
> &
  Partial<
    Pick<OrderWithLines, "reason" | "version" | "refundedAmount" | "paymentAttempts" | "fulfilment" | "timeline">
  > & {
    readonly status: string;
    readonly paymentMethod: string;
    readonly isInLedger: boolean;
  };

export function orderCommands(orders: Command): void {
  addCommand(orders, {
    usage: "show <order>",
    summary: "one order with its lines and its way so far",
    examples: ["onrush orders show <order>", "onrush orders show <order> --json"],
    run: ({ args: [id = ""], answer, terminal }) => {
      const orderId = readOrderId(id);
      return withServers(async (servers) => {
        const order = await findAnywhere(servers, orderId);
        const refunds = await listRefunds(servers.pool, orderId);
        await answer({ ...order, refunds }, () => screen(order, refunds, terminal.columns));
      });
    },
  });
  addCommand<{ reason?: string }>(orders, {
    usage: "cancel <order>",
    summary: "cancels an order that is not paid, for the shop",
    details:
      "Possible until it is paid; should a payment that is under way succeed all the same, the whole of it is refunded. The " +
      "units come back when the order is CANCELLED, a moment later. An order that is still on its way to Postgres is " +
      "cancelled when it arrives there.",
    examples: ["onrush orders cancel <order>", 'onrush orders cancel <order> --yes --reason "asked by phone"'],
    options: [{ flags: "--reason <text>", help: "why, for the audit trail" }],
    changes: () => true,
    run: ({ args: [id = ""], options, answer, confirm }) => {
      const orderId = readOrderId(id);
      return withServers(async (servers) => {
        const order = await findAnywhere(servers, orderId);
        await confirm(`Cancel ${orderId} (${order.status}, ${order.price} ${order.currency})?`);
        const wish: Cancellation = { orderId, actor: servers.actor, reason: "OPERATOR", note: options.reason };
        if (order.isInLedger) await cancelNow(servers, wish);
        else await wishCancelled(servers.pool, wish);
        const now = await findAnywhere(servers, orderId);
        await answer(now, () =>
          now.isInLedger ? `The order is ${now.status}.` : "The order is cancelled when it arrives in Postgres.",
        );
      });
    },
  });
}

async function cancelNow({ pool, outbox }: Servers, wish: Cancellation): Promise<void> {
  if (await transaction(pool, (client) => cancelInLedger(client, outbox, wish))) return;
  const order = await findOrder(pool, wish.orderId);
  throw new CommandError(`The order is ${order?.status}, which does not allow this.`, "INVALID_STATE");
}

/** @throws UsageError when it is none */
export function readOrderId(id: string): string {
  const orderId = id.toLowerCase();
  if (!parseOrderId(orderId)) throw new UsageError(`${id} is no order's id.`);
  return orderId;
}

/** @throws CommandError when there is no such order */
async function findAnywhere({ pool, redis }: Servers, orderId: string): Promise<ShownOrder> {
  const row = await findOrder(pool, orderId);
  if (row) return { ...row, isInLedger: true };
  const parts = parseOrderId(orderId);
  const sale = await pool.query<{ id: string }>("SELECT id FROM sales WHERE no = $1", [parts?.saleNo]);
  const saleId = sale.rows[0]?.id;
  const at = { saleId: saleId ?? "", partition: parts?.partition ?? 0 };
  const pending = saleId === undefined ? undefined : await findPendingOrder(redis, at, orderId);
  if (pending) {
    const { customerId, lines, price, payable, discounts, currency, payment } = pending.payload;
    const { placedAt, reservedUntil } = pending;
    const facts = {
      id: orderId,
      saleId: at.saleId,
      customerId,
      lines: boughtLines(lines, discounts),
      discounts: discounts ?? null,
      price,
      payable,
      currency,
      placedAt,
      reservedUntil,
    };
    return { ...facts, status: "PENDING", paymentMethod: payment.method, isInLedger: false };
  }
  // It may have arrived in between.
  const arrived = await findOrder(pool, orderId);
  if (!arrived) throw new CommandError(`There is no order ${orderId}.`, "NOT_FOUND");
  return { ...arrived, isInLedger: true };
}

function screen(order: ShownOrder, refunds: readonly RefundRow[], columns: number | undefined): string {
  const { coupon, points } = order.discounts ?? {};
  const facts = details(
    [
      ["order", order.id],
      ["status", order.reason ? `${order.status} (${order.reason})` : order.status],
      ["where", order.isInLedger ? undefined : "in Redis, on its way to Postgres"],
      ["sale", order.saleId],
      ["customer", order.customerId],
      ["price", `${order.price} ${order.currency}`],
      ["coupon", coupon && `${coupon.code}, ${coupon.amount} ${order.currency} off`],
      ["points", points && `${points} spent`],
      ["payable", order.payable === order.price ? undefined : `${order.payable} ${order.currency}`],
      ["refunded", order.refundedAmount ? `${order.refundedAmount} ${order.currency}` : undefined],
      ["fulfilment", order.fulfilment && `${stepOf(order.fulfilment)}, ${order.fulfilment.at.toISOString()}`],
      ["payment", `${order.paymentMethod}, ${order.paymentAttempts ?? 0} attempt(s)`],
      ["placed", order.placedAt.toISOString()],
      ["reserved until", order.reservedUntil.toISOString()],
    ],
    { columns },
  );
  const lines = order.lines.map((line) => [line.name, line.quantity, line.unitPrice, line.productId]);
  const items = table(["item", "units", "each", "product"], lines, { columns, whole: ["product"] });
  const parts = [facts, items];
  const steps = (order.timeline ?? []).map((step) => [step.version, statusOf(step), step.at.toISOString()]);
  if (steps.length > 0) parts.push(table(["version", "status", "at"], steps, { columns }));
  const back = refunds.map(({ id, amount, items, restock, state }) => {
    const units = items.reduce((sum, { quantity }) => sum + quantity, 0);
    return [id, amount, units, units === 0 ? "" : restock ? "restocked" : "written off", state];
  });
  if (back.length > 0) parts.push(table(["refund", "amount", "units", "that are", "state"], back, { columns }));
  return parts.join("\n\n");
}

function statusOf({ status, reason, fulfilment, refundedAmount }: TimelineEntry): string {
  if (reason) return `${status} (${reason})`;
  if (fulfilment) return `${status}, ${stepOf(fulfilment)}`;
  return refundedAmount === null ? status : `${status}, ${refundedAmount} refunded`;
}

/** `shipped (6012-3456)`, or the state alone. */
export function stepOf({ state, reference }: FulfilmentStep): string {
  return reference === null ? state : `${state} (${reference})`;
}

// `onrush orders refund`: gives an order's money back, and takes its units back.
import type { Command } from "commander";
import { publishOrders } from "../../engine/events.ts";
import { REASON_LENGTH_MAX } from "../../engine/ledger/audit.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openRefund } from "../../engine/ledger/refund-requests.ts";
import { AMOUNT_MAX, QUANTITY_MAX } from "../../engine/money.ts";
import type { RefundWish } from "../../engine/refund.ts";
import { addCommand, wholeNumber, wrongValue } from "../command.ts";
import { CommandError, UsageError } from "../failure.ts";
import { withServers } from "../servers.ts";
import { readOrderId } from "./orders.ts";

interface RefundOptions {
  readonly item?: readonly { readonly productId: string; readonly quantity: number }[];
  readonly amount?: number;
  readonly restock?: boolean;
  readonly reason?: string;
}

export function refundCommand(orders: Command): void {
  addCommand<RefundOptions>(orders, {
    usage: "refund <order>",
    summary: "gives money of a confirmed order back: all, some units, or an amount",
    details:
      "Without --item and --amount all that is left goes back. What was paid for the units of an --item goes back with them; " +
      "an --amount moves no units, unless it is the last of the order. Units are written off, or go back on sale with " +
      "--restock, once the money is back. A worker gives the money back within a second or so: `onrush orders show` tells. " +
      "A refund that fails becomes a dead letter: `onrush dead list`.",
    examples: [
      "onrush orders refund <order> --restock",
      "onrush orders refund <order> --item <product>=2 --restock --yes",
      'onrush orders refund <order> --amount 3000 --yes --reason "arrived late"',
    ],
    options: [
      { flags: "--item <product=units>", help: "units to take back; may be repeated", parse: readItem, many: true },
      {
        flags: "--amount <minor units>",
        help: "money without units",
        parse: wholeNumber(1, AMOUNT_MAX),
      },
      { flags: "--restock", help: "the units go back on sale (otherwise they are written off)" },
      { flags: "--reason <text>", help: "why, for the audit trail" },
    ],
    changes: () => true,
    run: ({ args: [id = ""], options, answer, confirm }) => {
      const orderId = readOrderId(id);
      const { item: items, amount, restock = false, reason } = options;
      if (items && amount !== undefined) throw new UsageError("Give --item or --amount, not both.");
      if (reason !== undefined && (reason.trim() === "" || reason.length > REASON_LENGTH_MAX)) {
        throw new UsageError(`A --reason has 1 to ${REASON_LENGTH_MAX} characters.`);
      }
      return withServers(async ({ pool, outbox, redis, actor }) => {
        const order = await findOrder(pool, orderId);
        if (!order) throw new CommandError(`Postgres has no order ${orderId}.`, "NOT_FOUND");
        const { status, payable, refundedAmount, currency } = order;
        await confirm(
          `Refund ${whatOf({ items, amount })} of ${orderId} (${status}, ${payable - refundedAmount} ${currency} not back)?`,
        );
        const { refund, moved } = await transaction(pool, (client) =>
          openRefund(client, outbox, { orderId, items, amount, restock, reason, actor }),
        );
        // Whoever watches compares versions too.
        if (moved) await publishOrders(redis, [moved]).catch(() => undefined);
        const { orderId: orderTrackingId, ...facts } = refund;
        await answer({ ...facts, orderTrackingId }, () => {
          const units = refund.items.reduce((sum, { quantity }) => sum + quantity, 0);
          const back = units > 0 ? ` and ${units} unit(s) ${restock ? "go back on sale" : "are written off"}` : "";
          return `${refund.amount} ${refund.currency} go back${back}: refund ${refund.id}.`;
        });
      });
    },
  });
}

function readItem(text: string): { productId: string; quantity: number } {
  const [productId = "", units = "", ...rest] = text.split("=");
  if (productId === "" || rest.length > 0) throw wrongValue("must be a product's id, = and a number of units.");
  return { productId: productId.toLowerCase(), quantity: wholeNumber(1, QUANTITY_MAX)(units) };
}

function whatOf({ items, amount }: RefundWish): string {
  if (amount !== undefined) return String(amount);
  if (items === undefined) return "all that is left";
  return `${items.reduce((sum, { quantity }) => sum + quantity, 0)} unit(s)`;
}

// `onrush orders fulfil`: what the shop says of a confirmed order's goods.
import type { Command } from "commander";
import { publishOrders } from "../../engine/events.ts";
import { FULFILMENT_STATES, type FulfilmentState, fulfilmentSchema } from "../../engine/fulfilment.ts";
import { fulfilOrder } from "../../engine/ledger/fulfilment.ts";
import { addCommand, oneOf } from "../command.ts";
import { UsageError } from "../failure.ts";
import { firstIssue } from "../issues.ts";
import { withServers } from "../servers.ts";
import { readOrderId, stepOf } from "./orders.ts";

interface FulfilOptions {
  readonly state: FulfilmentState;
  readonly reference?: string;
  readonly reason?: string;
}

export function fulfilCommand(orders: Command): void {
  addCommand<FulfilOptions>(orders, {
    usage: "fulfil <order>",
    summary: "says that a confirmed order was packed, shipped or delivered",
    details:
      "Only forward: packed, shipped, delivered; a step may be left out. The same said again has no effect, and a step " +
      "without a reference can be given one later. The buyer sees it at once.",
    examples: [
      "onrush orders fulfil <order> --state shipped --reference 6012-3456-7890",
      "onrush orders fulfil <order> --state delivered --yes --json",
    ],
    options: [
      {
        flags: "--state <state>",
        help: FULFILMENT_STATES.join(", "),
        parse: oneOf(...FULFILMENT_STATES),
        required: true,
      },
      { flags: "--reference <text>", help: "of this step: a parcel's number or the like" },
      { flags: "--reason <text>", help: "why, for the audit trail" },
    ],
    changes: () => true,
    run: ({ args: [id = ""], options: { state, reference, reason }, answer, confirm }) => {
      const orderId = readOrderId(id);
      const step = fulfilmentSchema().safeParse({ state, reference });
      if (!step.success) throw new UsageError(firstIssue(step));
      return withServers(async ({ pool, redis, actor }) => {
        const said = stepOf({ state, reference: reference ?? null });
        await confirm(`Say that ${orderId} was ${said}?`);
        const { order, change } = await fulfilOrder(pool, orderId, step.data, { actor, reason });
        if (change) await publishOrders(redis, [change]).catch(() => undefined); // whoever watches compares versions
        await answer(order, () =>
          change ? `The order was ${said}.` : `The order was ${said} before; nothing changed.`,
        );
      });
    },
  });
}

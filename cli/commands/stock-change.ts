// `onrush stock restock` and `onrush stock write-off`.
import type { Command } from "commander";
import { UNITS_MAX } from "../../engine/catalogue/input.ts";
import type { Sale } from "../../engine/catalogue/sales.ts";
import { restockBy, type StockChange, writeOffBy } from "../../engine/catalogue/stock-operations.ts";
import { addCommand, wholeNumber } from "../command.ts";
import { UsageError } from "../failure.ts";
import { putInForce } from "../force.ts";
import { withServers } from "../servers.ts";
import { cut } from "../table.ts";
import { knownSale, showChanged, titleOf } from "./sale.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A name in a question. */
const NAME_CELLS_MAX = 40;

interface ChangeOptions {
  readonly reason?: string;
}

export function stockChangeCommands(stock: Command): void {
  addCommand<ChangeOptions>(stock, {
    usage: "restock <sale> <product> <quantity>",
    summary: "adds units; the sale catalog takes products that it does not have yet",
    examples: [
      "onrush stock restock catalog <product> 100",
      'onrush stock restock summer <product> 20 --reason "반품"',
    ],
    options: [{ flags: "--reason <text>", help: "why, for the audit trail" }],
    changes: () => true,
    run: ({ args, options, answer, confirm, terminal }) => {
      const { saleId, change } = read(args);
      return withServers(async (servers) => {
        const sale = await knownSale(servers, saleId);
        await confirm(`Add ${change.quantity} units of ${nameOf(sale, change)} to\n${titleOf(sale)}?`);
        await restockBy(servers.pool, saleId, change, { actor: servers.actor, reason: options.reason });
        await putInForce(servers, saleId, terminal);
        await showChanged(servers, saleId, answer, terminal);
      });
    },
  });
  addCommand<ChangeOptions>(stock, {
    usage: "write-off <sale> <product> <quantity>",
    summary: "takes unsold units away, for good",
    details: "Units that were stolen, broken or counted wrongly. Units that buyers hold or have bought stay theirs.",
    examples: ['onrush stock write-off summer <product> 3 --reason "damaged in transit"'],
    options: [{ flags: "--reason <text>", help: "why, for the audit trail", required: true }],
    changes: () => true,
    run: ({ args, options, answer, confirm, terminal }) => {
      const { saleId, change } = read(args);
      const reason = options.reason?.trim();
      if (!reason) throw new UsageError("A write-off says why: --reason.");
      return withServers(async (servers) => {
        const sale = await knownSale(servers, saleId);
        await confirm(`Write off ${change.quantity} units of ${nameOf(sale, change)} of\n${titleOf(sale)}?`);
        await writeOffBy(servers, saleId, change, { actor: servers.actor, reason });
        await showChanged(servers, saleId, answer, terminal);
      });
    },
  });
}

function nameOf(sale: Sale, { productId }: StockChange): string {
  const name = sale.items.find((item) => item.productId === productId)?.name;
  return name === undefined ? productId : cut(name, NAME_CELLS_MAX);
}

/** @throws UsageError when product or quantity are none */
function read([saleId = "", productId = "", quantity = ""]: readonly string[]): {
  saleId: string;
  change: StockChange;
} {
  if (!UUID.test(productId)) throw new UsageError(`${productId} is no product's id: that is a UUID.`);
  try {
    return { saleId, change: { productId: productId.toLowerCase(), quantity: wholeNumber(1, UNITS_MAX)(quantity) } };
  } catch {
    throw new UsageError(`The quantity must be a whole number from 1 to ${UNITS_MAX}.`);
  }
}

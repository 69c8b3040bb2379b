// `onrush sale create` and `onrush sale edit`.
import type { Command } from "commander";
import { type NewSale, newSaleSchema, type SaleEdit, saleEditSchema } from "../../engine/catalogue/input.ts";
import { createSaleBy, editSaleBy } from "../../engine/catalogue/sale-operations.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { addCommand, type OptionSpec, oneOf, wholeNumber, wrongValue } from "../command.ts";
import { UsageError } from "../failure.ts";
import { putInForce } from "../force.ts";
import { firstIssue } from "../issues.ts";
import { reservationTtlMs } from "../reservation.ts";
import { withServers } from "../servers.ts";
import { cut } from "../table.ts";
import { knownSale, showChanged, titleOf } from "./sale.ts";

/** A name in a question. */
const NAME_CELLS_MAX = 48;

interface SettingOptions {
  readonly name?: string;
  readonly opens?: string;
  readonly closes?: string;
  readonly ttl?: number;
  readonly onDecline?: "release" | "hold";
  readonly membersOnly?: boolean;
  readonly visibility?: "exact" | "band";
  readonly item?: readonly object[];
}

const yesOrNo = (value: string) => oneOf("yes", "no")(value) === "yes";
const ITEM = "a product by its id: <product>[,stock=N][,price=N][,limit=N]; repeatable";
const SETTINGS: readonly OptionSpec[] = [
  { flags: "--opens <instant>", help: "e.g. 2026-11-27T10:00:00+09:00" },
  { flags: "--closes <instant>", help: "likewise, or never" },
  { flags: "--ttl <seconds>", help: "how long a reservation is held, from 5", parse: wholeNumber(5, 86_400) },
  {
    flags: "--on-decline <what>",
    help: "release (a declined payment cancels) or hold (pay again)",
    parse: oneOf("release", "hold"),
  },
  { flags: "--members-only <yes|no>", help: "whether guests may not buy", parse: yesOrNo },
  { flags: "--visibility <how>", help: "stock shown exact or as a band", parse: oneOf("exact", "band") },
  { flags: "--item <item>", help: ITEM, parse: readItem, many: true },
];

export function saleWriteCommands(sale: Command): void {
  createCommand(sale);
  editCommand(sale);
}

interface CreateOptions extends SettingOptions {
  readonly id?: string;
  readonly partitions?: number;
}

function createCommand(parent: Command): void {
  addCommand<CreateOptions>(parent, {
    usage: "create",
    summary: "makes a sale; it opens by its time, or now",
    examples: [
      'onrush sale create --name "Black Friday" --item <product>,stock=1000,limit=2',
      "onrush sale create --id bf --name BF --opens 2026-11-27T10:00:00+09:00 \\\n    --item <product>,stock=50,price=4900 --yes",
    ],
    options: [
      { flags: "--name <text>", help: "what buyers see", required: true },
      { flags: "--id <id>", help: "1 to 36 small letters, digits and hyphens; made when left out" },
      { flags: "--partitions <n>", help: "1 to 256; more than one for a very hot sale", parse: wholeNumber(1, 256) },
      ...SETTINGS,
    ],
    changes: () => true,
    run: ({ options, answer, confirm, terminal }) => {
      const input = checked<NewSale>(newSaleSchema(), {
        ...settingsOf(options),
        id: options.id,
        partitions: options.partitions,
        items: options.item ?? [],
      });
      return withServers(async (servers) => {
        await confirm(`Create ${cut(input.name, NAME_CELLS_MAX)} with ${input.items.length} item(s)?`);
        const now = new Date(await redisNowMs(servers.redis));
        const defaults = { now, reservationTtlMs: reservationTtlMs() };
        const id = await createSaleBy(servers.pool, input, defaults, { actor: servers.actor });
        await putInForce(servers, id, terminal);
        await showChanged(servers, id, answer, terminal);
      });
    },
  });
}

interface EditOptions extends SettingOptions {
  readonly expect?: number;
  readonly reason?: string;
}

function editCommand(parent: Command): void {
  addCommand<EditOptions>(parent, {
    usage: "edit <sale>",
    summary: "changes what is named, for orders from now on",
    details:
      "Reservations that are held keep their deadline, orders their price. Items that are named are changed, or added " +
      "with stock=N; the others stay. price=product takes the product's own price, limit=none takes the limit away. " +
      "Stock of items that are there is for restock and write-off.",
    examples: [
      'onrush sale edit summer --name "여름 세일" --closes never',
      "onrush sale edit summer --item <product>,price=4500,limit=1 --expect 3 --yes",
    ],
    options: [
      { flags: "--name <text>", help: "what buyers see" },
      ...SETTINGS,
      {
        flags: "--expect <version>",
        help: "refuse when the sale has another version by now",
        parse: wholeNumber(1, 1e15),
      },
      { flags: "--reason <text>", help: "why, for the audit trail" },
    ],
    changes: () => true,
    run: ({ args: [id = ""], options, answer, confirm, terminal }) => {
      const edit = checked<SaleEdit>(saleEditSchema(), {
        ...settingsOf(options),
        items: options.item,
        version: options.expect,
        reason: options.reason,
      });
      const named = Object.entries(edit).filter(([name, value]) => value !== undefined && name !== "reason");
      if (named.length === 0) throw new UsageError("Name something to change, such as --name or --item.");
      return withServers(async (servers) => {
        const sale = await knownSale(servers, id);
        await confirm(`Change ${named.map(([name]) => name).join(", ")} of\n${titleOf(sale)}?`);
        await editSaleBy(servers.pool, id, edit, { actor: servers.actor });
        await putInForce(servers, id, terminal);
        await showChanged(servers, id, answer, terminal);
      });
    },
  });
}

function settingsOf(options: SettingOptions) {
  return {
    name: options.name,
    opensAt: options.opens,
    closesAt: options.closes === "never" ? null : options.closes,
    reservationTtlSeconds: options.ttl,
    onDecline: options.onDecline,
    membersOnly: options.membersOnly,
    stockVisibility: options.visibility,
  };
}

/** Reads `<product>,stock=10,price=4900,limit=2`. */
function readItem(value: string): object {
  const [productId = "", ...parts] = value.split(",");
  const item: Record<string, unknown> = { productId };
  for (const part of parts) {
    const [name, text = ""] = part.split("=");
    if (name === "price" && text === "product") item["price"] = null;
    else if (name === "limit" && text === "none") item["perCustomerLimit"] = null;
    else if (!/^\d{1,15}$/.test(text)) throw wrongValue(`${part} is not name=number.`);
    else if (name === "stock" || name === "price") item[name] = Number(text);
    else if (name === "limit") item["perCustomerLimit"] = Number(text);
    else throw wrongValue(`${name} is none of stock, price, limit.`);
  }
  return item;
}

function checked<T>(schema: { safeParse(value: unknown): Parameters<typeof firstIssue>[0] }, value: object): T {
  const given = Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined));
  const result = schema.safeParse(given);
  if (!result.success) throw new UsageError(firstIssue(result));
  return result.data as T;
}

// `onrush sale`: which sales there are, one in detail, and opening, pausing and closing them.
import type { Command } from "commander";
import type { Operator } from "../../engine/catalogue/operator.ts";
import { closeSaleBy, openSaleBy, pauseSaleBy } from "../../engine/catalogue/sale-operations.ts";
import { findSale, listSales, type Sale } from "../../engine/catalogue/sales.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { addCommand, type Call } from "../command.ts";
import { CommandError } from "../failure.ts";
import { putInForce } from "../force.ts";
import { paintState, type SaleStanding, shortInstant, standingOf } from "../sale-stock.ts";
import { type Servers, withServers } from "../servers.ts";
import { cut, details, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export function saleCommands(sale: Command): void {
  listCommand(sale);
  showCommand(sale);
  lifeCommand(sale, "open", "opens a sale now, whatever its opening time; also after a pause or a close", (s, id, by) =>
    redisNowMs(s.redis).then((nowMs) => openSaleBy(s.pool, id, new Date(nowMs), by)),
  );
  lifeCommand(sale, "pause", "takes no orders until the sale is opened again", ({ pool }, id, by) =>
    pauseSaleBy(pool, id, by),
  );
  lifeCommand(sale, "close", "takes no more orders; those that are accepted go on", ({ pool }, id, by) =>
    closeSaleBy(pool, id, by),
  );
}

function listCommand(parent: Command): void {
  addCommand(parent, {
    usage: "list",
    summary: "all sales, with what is left of them",
    examples: ["onrush sale list", "onrush sale list --json"],
    run: ({ answer, terminal }) =>
      withServers(async (servers) => {
        const rows: { sale: Sale; standing: SaleStanding }[] = [];
        for (const sale of await listSales(servers.pool))
          rows.push({ sale, standing: await standingOf(servers, sale) });
        await answer(
          rows.map(({ sale, standing }) => representSale(sale, standing)),
          () => {
            const cells = rows.map(({ sale, standing }) => [
              sale.id,
              sale.name,
              paintState(standing.state, terminal),
              shortInstant(sale.opensAt),
              total(standing.remaining),
            ]);
            const headings = ["id", "name", "state", "opens (UTC)", "left"];
            return table(headings, cells, { columns: terminal.columns, whole: ["id", "state", "opens (UTC)"] });
          },
        );
      }),
  });
}

function showCommand(parent: Command): void {
  addCommand(parent, {
    usage: "show <sale>",
    summary: "one sale with its items",
    examples: ["onrush sale show catalog", "onrush sale show summer --json"],
    run: ({ args: [id = ""], answer, terminal }) =>
      withServers(async (servers) => {
        const sale = await knownSale(servers, id);
        const standing = await standingOf(servers, sale);
        await answer(representSale(sale, standing), () => screen(sale, standing, terminal));
      }),
  });
}

interface LifeOptions {
  readonly reason?: string;
}

function lifeCommand(
  parent: Command,
  name: "open" | "pause" | "close",
  summary: string,
  work: (servers: Servers, saleId: string, operator: Operator) => Promise<Sale>,
): void {
  addCommand<LifeOptions>(parent, {
    usage: `${name} <sale>`,
    summary,
    examples: [`onrush sale ${name} summer`, `onrush sale ${name} summer --yes --reason "as planned"`],
    options: [{ flags: "--reason <text>", help: "why, for the audit trail" }],
    changes: () => true,
    run: ({ args: [id = ""], options, answer, confirm, terminal }) =>
      withServers(async (servers) => {
        const sale = await knownSale(servers, id);
        await confirm(`${name[0]?.toUpperCase()}${name.slice(1)} the sale ${titleOf(sale)}?`);
        await work(servers, id, { actor: servers.actor, reason: options.reason });
        await putInForce(servers, id, terminal);
        await showChanged(servers, id, answer, terminal);
      }),
  });
}

/** Answers with the sale as it is now. */
export async function showChanged(
  servers: Servers,
  saleId: string,
  answer: Call["answer"],
  terminal: Terminal,
): Promise<void> {
  const sale = await knownSale(servers, saleId);
  const standing = await standingOf(servers, sale);
  await answer(representSale(sale, standing), () => screen(sale, standing, terminal));
}

/** @throws CommandError when there is no such sale */
export async function knownSale({ pool }: Pick<Servers, "pool">, id: string): Promise<Sale> {
  const sale = /^[a-z0-9-]{1,36}$/.test(id) ? await findSale(pool, id) : undefined;
  if (!sale) throw new CommandError(`There is no sale ${id}.`, "NOT_FOUND");
  return sale;
}

const TITLE_CELLS_MAX = 60;

/** A sale in a question. */
export function titleOf({ id, name }: Pick<Sale, "id" | "name">): string {
  return cut(`${id} (${name})`, TITLE_CELLS_MAX);
}

/** A sale as programs get it: the API's, with the partitions' state beside it. */
function representSale(sale: Sale, { state, remaining }: SaleStanding) {
  const { no: _no, partitionEpochs, reservationTtlMs, items, ...rest } = sale;
  return {
    ...rest,
    state,
    reservationTtlSeconds: reservationTtlMs / 1_000,
    items: items.map((item) => ({ ...item, remaining: remaining.get(item.productId) ?? 0 })),
    partitionStates: partitionEpochs,
  };
}

function screen(sale: Sale, standing: SaleStanding, terminal: Terminal): string {
  const facts = details(
    [
      ["sale", sale.id],
      ["name", sale.name],
      ["state", paintState(standing.state, terminal)],
      ["opens", `${shortInstant(sale.opensAt)} UTC`],
      ["closes", sale.closesAt === null ? "never" : `${shortInstant(sale.closesAt)} UTC`],
      ["reservation", `${sale.reservationTtlMs / 1_000} s`],
      ["declined", sale.onDecline === "hold" ? "the buyer may pay again until the deadline" : "cancels the order"],
      ["for", sale.membersOnly ? "members only" : "everybody"],
      ["stock shown", sale.stockVisibility === "band" ? "as bands" : "exactly"],
      ["partitions", partitionsOf(sale)],
      ["version", sale.version],
    ],
    terminal,
  );
  const cells = sale.items.map((item) => [
    item.productId,
    item.name,
    `${item.price} ${sale.currency}`,
    item.perCustomerLimit === null ? "none" : String(item.perCustomerLimit),
    standing.remaining.get(item.productId) ?? 0,
  ]);
  if (cells.length === 0) return `${facts}\n\nNo items.`;
  const headings = ["product", "name", "price", "limit", "left"];
  return `${facts}\n\n${table(headings, cells, { columns: terminal.columns, whole: ["product", "price"] })}`;
}

function partitionsOf({ partitionEpochs }: Sale): string {
  const states = Map.groupBy(partitionEpochs, ({ state }) => state);
  return [...states].map(([state, of]) => `${of.length} ${state}`).join(", ");
}

function total(units: ReadonlyMap<string, number>): number {
  return [...units.values()].reduce((sum, count) => sum + Math.max(0, count), 0);
}

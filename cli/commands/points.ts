// `onrush points`: what members have earned and not spent yet, adjustments, and whether the books of it all agree.
import type { Command } from "commander";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { listEntries, type PointsEntry } from "../../engine/points/accounts.ts";
import { adjustPoints, entryName } from "../../engine/points/adjustments.ts";
import { checkPoints, type PointsBooks } from "../../engine/points/check.ts";
import { readTiers } from "../../engine/points/section.ts";
import { type PointsStanding, readStanding } from "../../engine/points/standing.ts";
import { knownMember, readKey } from "../booking.ts";
import { addCommand, wholeNumber } from "../command.ts";
import { UsageError } from "../failure.ts";
import { withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

const LIMIT_DEFAULT = 20;
const MEMBER_DETAILS = "The member is named by the account's e-mail or its id.";

export function pointsCommands(points: Command): void {
  addCommand<{ limit?: number }>(points, {
    usage: "show <member>",
    summary: "a member's points and tier, and what came and went",
    details: MEMBER_DETAILS,
    examples: ["onrush points show kim@example.com", "onrush points show <id> --limit 100 --json"],
    options: [
      { flags: "--limit <n>", help: `how many entries, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) },
    ],
    run: ({ args: [who = ""], options: { limit = LIMIT_DEFAULT }, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const customerId = await knownMember(pool, who);
        const standing = await readStanding(pool, customerId, await readTiers(pool));
        const entries = await listEntries(pool, customerId, { limit });
        const named = entries.map((each) => ({ ...each, id: entryName(each.id) }));
        await answer({ ...standing, entries: named }, () => pointsScreen(standing, entries, terminal.columns));
      }),
  });

  addCommand<{ key?: string; reason: string }>(points, {
    usage: "adjust <member> <amount>",
    summary: "gives a member points, or takes some",
    details:
      `${MEMBER_DETAILS} An amount below 0 takes; write it after --, as an option would begin like it. With --key the ` +
      "adjustment is booked once, however often it is sent; without one, each time.",
    examples: [
      'onrush points adjust kim@example.com 500 --reason "sorry for the delay"',
      'onrush points adjust --yes --key fix-17 --reason "given twice" -- <id> -500',
    ],
    options: [
      { flags: "--reason <text>", help: "why, for the member and the audit trail", required: true },
      { flags: "--key <key>", help: "makes it safe to repeat; 1 to 255 printable ASCII characters", parse: readKey },
    ],
    changes: () => true,
    run: ({ args: [who = "", given = ""], options: { key, reason }, answer, confirm }) => {
      const amount = readAmount(given);
      return withDatabase(async ({ pool, actor }) => {
        const customerId = await knownMember(pool, who);
        await confirm(amount > 0 ? `Give ${who} ${amount} points?` : `Take ${-amount} points of ${who}?`);
        const booked = await adjustPoints(pool, { customerId, amount, key }, { actor, reason });
        const { id, balance } = booked.adjustment;
        await answer({ ...booked.adjustment, isReplayed: booked.isReplayed }, () =>
          booked.isReplayed
            ? `The key led to adjustment ${id} before; nothing was booked.`
            : `Adjustment ${id} is booked; ${who} has ${balance} points.`,
        );
      });
    },
  });

  addCommand(points, {
    usage: "check",
    summary: "whether the books of points agree; exit code 1 when they do not",
    details:
      "Adds up every entry there is: each account is the sum of its entries, and each order has spent, got back, earned and " +
      "lost to refunds what its state says. Orders may go on meanwhile.",
    examples: ["onrush points check", "onrush points check --json"],
    run: ({ answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const books = await checkPoints(pool);
        await answer(books, () => booksScreen(books, terminal));
        if (books.findings.length > 0) process.exitCode = 1;
      }),
  });
}

function readAmount(given: string): number {
  const amount = /^-?\d{1,13}$/.test(given) ? Number(given) : 0;
  if (amount === 0 || Math.abs(amount) > AMOUNT_MAX) {
    throw new UsageError(`The amount must be a whole number from -${AMOUNT_MAX} to ${AMOUNT_MAX}, and not 0.`);
  }
  return amount;
}

function pointsScreen(
  { customerId, balance, spend, currency, tier, rate, nextTier }: PointsStanding,
  entries: readonly PointsEntry[],
  columns: number | undefined,
): string {
  const facts = details(
    [
      ["member", customerId],
      ["points", String(balance)],
      ["tier", `${tier}, earns ${rate / 100} %`],
      ["spend", `${spend} ${currency}`],
      ...(nextTier ? [["next", `${nextTier.name}, ${nextTier.missing} ${currency} from here`] as const] : []),
    ],
    { columns },
  );
  if (entries.length === 0) return facts;
  const cells = entries.map(({ at, kind, amount, balance: left, orderId, reason }) => [
    ...[at.toISOString().slice(0, 19).replace("T", " "), kind, amount, left, orderId ?? reason ?? ""],
  ]);
  return `${facts}\n\n${table(["when", "what", "points", "left", "order or reason"], cells, { columns })}`;
}

function booksScreen({ accounts, held, moved, findings }: PointsBooks, { colors, columns }: Terminal): string {
  const cells = Object.entries(moved).map(([kind, amount]) => [kind, amount]);
  const sums = table(["what", "points"], [...cells, ["held", held]], { columns });
  const found = findings.map((finding) => colors.red(`! ${finding}`));
  const verdict = found.length > 0 ? found.join("\n") : colors.green("The books agree.");
  return accounts === 0 ? verdict : `${sums}\n\n${verdict}`;
}

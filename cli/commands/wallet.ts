// `onrush wallet`: what members have paid in and not spent yet, deposits, and whether the books of it all agree.
import type { Command } from "commander";
import { AMOUNT_MAX, DEFAULT_CURRENCY } from "../../engine/money.ts";
import { readWallet, type Wallet } from "../../engine/wallet/accounts.ts";
import { transferName } from "../../engine/wallet/charges.ts";
import { checkWallets, type WalletBooks } from "../../engine/wallet/check.ts";
import { depositTo } from "../../engine/wallet/deposits.ts";
import { listTransactions, type WalletTransaction } from "../../engine/wallet/transactions.ts";
import { knownMember, readKey } from "../booking.ts";
import { addCommand, wholeNumber, wrongValue } from "../command.ts";
import { UsageError } from "../failure.ts";
import { withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface DepositOptions {
  readonly currency?: string;
  readonly key?: string;
  readonly reason?: string;
}

const LIMIT_DEFAULT = 20;
const MEMBER_DETAILS = "The member is named by the account's e-mail or its id.";

export function walletCommands(wallet: Command): void {
  addCommand<{ limit?: number }>(wallet, {
    usage: "show <member>",
    summary: "what a member has, and what came and went",
    details: MEMBER_DETAILS,
    examples: ["onrush wallet show kim@example.com", "onrush wallet show <id> --limit 100 --json"],
    options: [
      {
        flags: "--limit <n>",
        help: `how many transactions, 1 to 1000 (${LIMIT_DEFAULT})`,
        parse: wholeNumber(1, 1_000),
      },
    ],
    run: ({ args: [who = ""], options: { limit = LIMIT_DEFAULT }, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const customerId = await knownMember(pool, who);
        const shown = await readWallet(pool, customerId);
        const transactions = await listTransactions(pool, customerId, { limit });
        const named = transactions.map((each) => ({ ...each, id: transferName(each.id) }));
        await answer({ ...shown, transactions: named }, () => walletScreen(shown, transactions, terminal.columns));
      }),
  });

  addCommand<DepositOptions>(wallet, {
    usage: "deposit <member> <amount>",
    summary: "books what a member has paid in",
    details:
      `${MEMBER_DETAILS} The amount is in the currency's minor unit. With --key the deposit is booked once, however often ` +
      "it is sent; without one, each time.",
    examples: [
      "onrush wallet deposit kim@example.com 50000 --key transfer-2026-11-21-17",
      'onrush wallet deposit <id> 5000 --yes --reason "sorry for the delay"',
    ],
    options: [
      { flags: "--currency <code>", help: `of the amount (${DEFAULT_CURRENCY})`, parse: readCurrency },
      { flags: "--key <key>", help: "makes it safe to repeat; 1 to 255 printable ASCII characters", parse: readKey },
      { flags: "--reason <text>", help: "why, for the audit trail" },
    ],
    changes: () => true,
    run: ({ args: [who = "", given = ""], options, answer, confirm }) => {
      const { currency = DEFAULT_CURRENCY, key, reason } = options;
      const amount = readAmount(given);
      return withDatabase(async ({ pool, actor }) => {
        const customerId = await knownMember(pool, who);
        await confirm(`Pay ${amount} ${currency} into the wallet of ${who}?`);
        const booked = await depositTo(pool, { customerId, amount, currency, key }, { actor, reason });
        const { id, balance } = booked.deposit;
        await answer({ ...booked.deposit, isReplayed: booked.isReplayed }, () =>
          booked.isReplayed
            ? `The key led to deposit ${id} before; nothing was booked.`
            : `Deposit ${id} is booked; the wallet holds ${balance} ${currency}.`,
        );
      });
    },
  });

  addCommand(wallet, {
    usage: "check",
    summary: "whether all wallets' books agree; exit code 1 when they do not",
    details:
      "Adds up every transfer there is: each account's balance is the sum of its transfers, each charge of an order moved " +
      "what it says, and what members hold is what came in less what was spent. Orders and deposits may go on meanwhile.",
    examples: ["onrush wallet check", "onrush wallet check --json"],
    run: ({ answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const books = await checkWallets(pool);
        await answer(books, () => booksScreen(books, terminal));
        if (books.findings.length > 0) process.exitCode = 1;
      }),
  });
}

function readAmount(given: string): number {
  try {
    return wholeNumber(1, AMOUNT_MAX)(given);
  } catch {
    throw new UsageError(`The amount must be a whole number from 1 to ${AMOUNT_MAX}.`);
  }
}

function readCurrency(given: string): string {
  if (!/^[A-Z]{3}$/.test(given)) throw wrongValue("must be an ISO 4217 code, such as KRW.");
  return given;
}

function walletScreen(
  { customerId, balance, currency, balances }: Wallet,
  transactions: readonly WalletTransaction[],
  columns: number | undefined,
): string {
  const others = balances.filter((each) => each.currency !== currency);
  const facts = details(
    [
      ["member", customerId],
      ["balance", `${balance} ${currency}`],
      ...others.map((each) => ["", `${each.balance} ${each.currency}`] as const),
    ],
    { columns },
  );
  if (transactions.length === 0) return facts;
  const cells = transactions.map(({ at, type, amount, currency: of, balance: left, orderId }) => [
    ...[at.toISOString().slice(0, 19).replace("T", " "), type, amount, of, left, orderId ?? ""],
  ]);
  return `${facts}\n\n${table(["when", "what", "amount", "", "balance", "order"], cells, { columns, whole: ["order"] })}`;
}

function booksScreen({ currencies, findings }: WalletBooks, { colors, columns }: Terminal): string {
  const cells = currencies.map(({ currency, accounts, deposited, spent, held }) => [
    ...[currency, accounts, deposited, spent, held],
  ]);
  const sums = table(["currency", "wallets", "deposited", "spent", "held"], cells, { columns });
  const found = findings.map((finding) => colors.red(`! ${finding}`));
  const verdict = found.length > 0 ? found.join("\n") : colors.green("The books agree.");
  return currencies.length === 0 ? verdict : `${sums}\n\n${verdict}`;
}

// `onrush coupon`: what takes something off an order's price, how much of it is left, and its end.
import type { Command } from "commander";
import { announceVersion, carrySale } from "../../engine/catalogue/propagation.ts";
import { type CouponUses, checkCoupons, readCouponUses } from "../../engine/coupons/books.ts";
import { type Coupon, couponCodeOf } from "../../engine/coupons/coupon.ts";
import { findCoupon, listCoupons } from "../../engine/coupons/coupons.ts";
import { couponSchema } from "../../engine/coupons/input.ts";
import { closeCouponBy, createCouponBy, unknownCoupon } from "../../engine/coupons/operations.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { addCommand, wholeNumber } from "../command.ts";
import { UsageError } from "../failure.ts";
import { shortInstant } from "../sale-stock.ts";
import { withDatabase, withServers } from "../servers.ts";
import { details, table } from "../table.ts";

interface CreateOptions {
  readonly amount?: number;
  readonly percent?: number;
  readonly maximum?: number;
  readonly minimumPrice?: number;
  readonly limit: number;
  readonly perMember?: number;
  readonly from?: string;
  readonly until?: string;
  readonly sale: readonly string[];
  readonly reason?: string;
}

type Shown = Coupon & { readonly uses: CouponUses | undefined };
const LIST_DEFAULT = 100;
const LIMIT_MAX = 1_000_000_000;

export function couponCommands(coupon: Command): void {
  listCommand(coupon);
  showCommand(coupon);
  createCommand(coupon);
  closeCommand(coupon);
  checkCommand(coupon);
}

function listCommand(parent: Command): void {
  addCommand<{ limit?: number }>(parent, {
    usage: "list",
    summary: "coupons, the newest last, with what is left of them",
    examples: ["onrush coupon list", "onrush coupon list --limit 1000 --json"],
    options: [{ flags: "--limit <n>", help: `how many, 1 to 1000 (${LIST_DEFAULT})`, parse: wholeNumber(1, 1_000) }],
    run: ({ options: { limit = LIST_DEFAULT }, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const found = await listCoupons(pool, { limit });
        const uses = await readCouponUses(
          pool,
          found.map(({ code }) => code),
        );
        const shown = found.map((of): Shown => ({ ...of, uses: uses.get(of.code) }));
        await answer(shown, () => {
          const cells = shown.map((of) => [
            ...[of.code, worthOf(of), of.limit, of.uses?.left ?? 0, shortInstant(of.validFrom), endOf(of)],
          ]);
          const headings = ["code", "takes off", "uses", "left", "from (UTC)", "until"];
          return table(headings, cells, { columns: terminal.columns, whole: ["code"] });
        });
      }),
  });
}

function showCommand(parent: Command): void {
  addCommand(parent, {
    usage: "show <code>",
    summary: "one coupon, and where its uses are",
    examples: ["onrush coupon show SUMMER", "onrush coupon show summer --json"],
    run: ({ args: [code = ""], answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const found = await findCoupon(pool, couponCodeOf(code));
        if (!found) throw unknownCoupon(couponCodeOf(code));
        const uses = (await readCouponUses(pool, [found.code])).get(found.code);
        const shown = { ...found, uses };
        await answer(shown, () => screen(shown, terminal.columns));
      }),
  });
}

function createCommand(parent: Command): void {
  const amount = wholeNumber(1, AMOUNT_MAX);
  addCommand<CreateOptions>(parent, {
    usage: "create <code>",
    summary: "makes a coupon for one sale or several",
    details:
      "Either --amount or --percent. Amounts are in the minor unit of the sales' currency. Its uses are spread over the " +
      "partitions of its sales, and move to where they are asked for.",
    examples: [
      "onrush coupon create SUMMER --amount 5000 --limit 100 --sale summer --yes",
      "onrush coupon create VIP --percent 10 --limit 50 --sale summer --sale winter",
    ],
    options: [
      { flags: "--amount <n>", help: "what it takes off", parse: amount },
      { flags: "--percent <n>", help: "or a percentage, 1 to 100", parse: wholeNumber(1, 100) },
      { flags: "--maximum <n>", help: "the most that the percentage takes off", parse: amount },
      { flags: "--minimum-price <n>", help: "for orders of at least this price", parse: amount },
      { flags: "--limit <n>", help: "uses in all", parse: wholeNumber(1, LIMIT_MAX), required: true },
      { flags: "--per-member <n>", help: "uses by one member in one sale", parse: wholeNumber(1, 1_000_000) },
      { flags: "--from <instant>", help: "valid from (now)" },
      { flags: "--until <instant>", help: "and until before" },
      { flags: "--sale <id>", help: "a sale that takes it; may be given more than once", many: true, required: true },
      { flags: "--reason <text>", help: "why, for the audit trail" },
    ],
    changes: () => true,
    run: ({ args: [code = ""], options, answer, confirm, terminal }) => {
      const input = readCoupon(code, options);
      return withServers(async ({ pool, redis, stock, actor }) => {
        await confirm(`Make coupon ${input.code} of ${input.limit} use(s)?`);
        const now = new Date(await redisNowMs(redis));
        const made = await createCouponBy(pool, input, now, { actor, reason: options.reason });
        for (const saleId of made.saleIds) await carrySale(pool, stock, saleId);
        await announceVersion(pool, redis);
        const uses = (await readCouponUses(pool, [made.code])).get(made.code);
        const shown = { ...made, uses };
        await answer(shown, () => screen(shown, terminal.columns));
      });
    },
  });
}

function closeCommand(parent: Command): void {
  addCommand<{ reason?: string }>(parent, {
    usage: "close <code>",
    summary: "ends a coupon; orders that have it keep it",
    details:
      "The uses that nobody has are taken out of its sales. What orders give back later is taken out when it is closed once more.",
    examples: ["onrush coupon close SUMMER --yes"],
    options: [{ flags: "--reason <text>", help: "why, for the audit trail" }],
    changes: () => true,
    run: ({ args: [code = ""], options: { reason }, answer, confirm }) =>
      withServers(async ({ pool, redis, stock, actor }) => {
        await confirm(`Close coupon ${couponCodeOf(code)}?`);
        const closed = await closeCouponBy({ pool, stock }, code, { actor, reason });
        await announceVersion(pool, redis);
        const { coupon, withdrawn } = closed;
        await answer({ ...coupon, withdrawn }, () => `Coupon ${coupon.code} is closed; ${withdrawn} use(s) taken out.`);
      }),
  });
}

function checkCommand(parent: Command): void {
  addCommand(parent, {
    usage: "check",
    summary: "whether every use of every coupon is where it should be; exit code 1 when not",
    details:
      "Adds up what is left, what orders have, what is on its way between partitions and what was taken out, and compares it " +
      "with what each coupon was made with. Orders may go on meanwhile.",
    examples: ["onrush coupon check", "onrush coupon check --json"],
    run: ({ answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const books = await checkCoupons(pool);
        const { colors } = terminal;
        await answer(books, () =>
          books.findings.length > 0
            ? books.findings.map((finding) => colors.red(`! ${finding}`)).join("\n")
            : colors.green(`The books of ${books.coupons} coupon(s) agree.`),
        );
        if (books.findings.length > 0) process.exitCode = 1;
      }),
  });
}

/** @throws UsageError with the first thing that is wrong */
function readCoupon(code: string, { sale, perMember, from, until, ...options }: CreateOptions) {
  const { reason: _, ...rest } = options;
  const read = couponSchema().safeParse({
    ...{ ...rest, code, saleIds: sale },
    ...(perMember !== undefined && { perMemberLimit: perMember }),
    ...(from !== undefined && { validFrom: from }),
    ...(until !== undefined && { validUntil: until }),
  });
  if (read.success) return read.data;
  const [first] = read.error.issues;
  throw new UsageError(`${first?.path.join(".") ?? "coupon"}: ${first?.message ?? "is not valid"}.`);
}

function worthOf({ amount, percent, maximum, currency }: Coupon): string {
  if (amount !== null) return `${amount} ${currency ?? ""}`.trim();
  return maximum === null ? `${percent} %` : `${percent} %, at most ${maximum} ${currency ?? ""}`.trim();
}

function endOf({ closedAt, validUntil }: Coupon): string {
  return closedAt === null ? shortInstant(validUntil) : "closed";
}

function screen(of: Shown, columns: number | undefined): string {
  const { uses } = of;
  return details(
    [
      ["code", of.code],
      ["takes off", worthOf(of)],
      ["from a price of", of.minimumPrice ? `${of.minimumPrice} ${of.currency ?? ""}` : undefined],
      ["per member", of.perMemberLimit ?? undefined],
      ["sales", of.saleIds.join(", ")],
      ["valid", `from ${shortInstant(of.validFrom)} until ${shortInstant(of.validUntil)} (UTC)`],
      ["closed", of.closedAt?.toISOString()],
      ["uses", `${of.limit} in all`],
      ["", uses && `${uses.left} left, ${uses.reserved} of orders under way, ${uses.used} used`],
      [
        "",
        uses && (uses.inTransit || uses.retired)
          ? `${uses.inTransit} on their way, ${uses.retired} taken out`
          : undefined,
      ],
    ],
    { columns },
  );
}

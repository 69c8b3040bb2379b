// `onrush wallet`, by the real binary.
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createUser, makeCustomerId } from "../../engine/members/users.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { chargeWallets } from "../../engine/wallet/charges.ts";
import { openCliShop } from "./cli-shop.ts";

const shop = await openCliShop();
const { onrush, json, failure, pool } = shop;

async function member(): Promise<{ id: string; email: string }> {
  const id = makeCustomerId();
  const email = `${id}@example.com`;
  await createUser(pool, { id, email, name: "Kim", passwordHash: "x" });
  return { id, email };
}

describe("onrush wallet", () => {
  it("checks the books, and fails where they do not agree, with themselves or with the orders", async () => {
    const { id } = await member();
    await json("wallet", "deposit", id, "100", "--yes");
    const sound = await onrush("wallet", "check");
    expect([sound.code, sound.out]).toEqual([0, expect.stringMatching(/^KRW +1 +100 +0 +100$/m)]);
    expect(sound.out).toMatch(/The books agree\.\n$/);
    await pool.query("UPDATE wallet_accounts SET balance = balance + 1 WHERE owner = $1", [id]);
    const wrong = await onrush("wallet", "check");
    expect([wrong.code, wrong.out]).toEqual([
      1,
      expect.stringContaining(`! ${id} holds 101 KRW; the transfers sum up to 100.`),
    ]);
    await pool.query("UPDATE wallet_accounts SET balance = balance - 1 WHERE owner = $1", [id]);
    const key = `${randomUUID()}:1`;
    await chargeWallets(pool, [{ key, customerId: id, amount: 1, currency: "KRW" }]);
    expect((await onrush("wallet", "check", "--json")).out).toContain(
      `"The payment ${key} and its charge do not agree."`,
    );
  });

  it("books a deposit, once a key, by id or e-mail, and shows it", async () => {
    const { id, email } = await member();
    const deposit = (...more: string[]) => onrush("wallet", "deposit", email.toUpperCase(), "50000", "--yes", ...more);
    const first = await deposit("--key", "transfer 17", "--reason", "현금");
    expect([first.code, first.out]).toEqual([
      0,
      expect.stringMatching(/^Deposit wt_\d+ is booked; the wallet holds 50000 KRW\.\n$/),
    ]);
    const again = await deposit("--key", "transfer 17", "--reason", "현금");
    expect([again.code, again.out]).toEqual([
      0,
      expect.stringMatching(/^The key led to deposit wt_\d+ before; nothing/),
    ]);
    expect(await failure("wallet", "deposit", id, "1", "--yes", "--key", "transfer 17")).toMatchObject({
      exit: 1,
      code: "IDEMPOTENCY_CONFLICT",
    });
    expect(await json("wallet", "deposit", id, "7", "--yes", "--currency", "USD")).toMatchObject({
      customerId: id,
      amount: 7,
      currency: "USD",
      balance: 7,
      isReplayed: false,
    });
    const orderId = randomUUID();
    await chargeWallets(pool, [{ key: `${orderId}:1`, customerId: id, amount: 20_000, currency: "KRW" }]);

    expect(await json("wallet", "show", email)).toMatchObject({
      customerId: id,
      balance: 30_000,
      currency: "KRW",
      balances: [
        { currency: "KRW", balance: 30_000 },
        { currency: "USD", balance: 7 },
      ],
      transactions: [
        { type: "charge", amount: -20_000, balance: 30_000, orderId },
        { type: "deposit", amount: 7, currency: "USD" },
        { type: "deposit", amount: 50_000 },
      ],
    });
    const shown = await onrush("wallet", "show", id, "--limit", "1");
    expect(shown.out).toMatch(/^balance +30000 KRW$/m);
    expect(shown.out).toMatch(new RegExp(`charge +-20000 +KRW +30000 +${orderId}$`, "m"));
    expect(shown.out).not.toMatch(/deposit/);
    const trail = await json<{ actor: string; reason: string | null }[]>("audit", "list", "--subject", `wallet:${id}`);
    expect(trail).toMatchObject([{ reason: null }, { actor: expect.stringMatching(/^cli:/), reason: "현금" }]);
  });

  it("shows a member to whom nothing was ever paid in", async () => {
    const { id } = await member();
    expect((await onrush("wallet", "show", id)).out).toMatch(/^balance +0 KRW$/m);
  });

  it("refuses what is no member, amount, currency or key, and to pay in unasked", async () => {
    const { id } = await member();
    for (const who of [makeCustomerId(), "nobody@example.com", "'; --"]) {
      expect(await failure("wallet", "show", who)).toMatchObject({ exit: 1, code: "NOT_FOUND" });
      expect(await failure("wallet", "deposit", who, "1", "--yes")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    }
    for (const amount of ["0", "1.5", "1e3", "5,000", "x", String(AMOUNT_MAX + 1)]) {
      expect(await failure("wallet", "deposit", id, amount, "--yes")).toMatchObject({ exit: 2, code: "USAGE" });
    }
    for (const wrong of [
      ["--currency", "won"],
      ["--key", ""],
      ["--key", "열쇠"],
    ]) {
      expect(await failure("wallet", "deposit", id, "1", "--yes", ...wrong)).toMatchObject({ exit: 2, code: "USAGE" });
    }
    expect(await failure("wallet", "deposit", id, "1")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await json("wallet", "show", id)).toMatchObject({ balance: 0, balances: [] });
  });
});

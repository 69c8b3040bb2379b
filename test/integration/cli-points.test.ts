// `onrush points`, by the real binary.
import { expect, it } from "vitest";
import { createUser, makeCustomerId } from "../../engine/members/users.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { openCliShop } from "./cli-shop.ts";

const { onrush, json, failure, pool } = await openCliShop();

async function member(): Promise<{ id: string; email: string }> {
  const id = makeCustomerId();
  const email = `${id}@example.com`;
  await createUser(pool, { id, email, name: "Kim", passwordHash: "x" });
  return { id, email };
}

it("gives and takes, once a key, by id or e-mail, and shows where the member stands", async () => {
  const { id, email } = await member();
  const give = (...more: string[]) =>
    onrush("points", "adjust", email.toUpperCase(), "500", "--yes", "--reason", "축하", ...more);
  const first = await give("--key", "gift 17");
  expect([first.code, first.out]).toEqual([
    0,
    expect.stringMatching(/^Adjustment pt_\d+ is booked; \S+ has 500 points\.\n$/),
  ]);
  const again = await give("--key", "gift 17");
  expect([again.code, again.out]).toEqual([
    0,
    expect.stringMatching(/^The key led to adjustment pt_\d+ before; nothing/),
  ]);
  expect(await failure("points", "adjust", id, "1", "--yes", "--reason", "x", "--key", "gift 17")).toMatchObject({
    exit: 1,
    code: "IDEMPOTENCY_CONFLICT",
  });
  const taken = await onrush("points", "adjust", "--yes", "--json", "--reason", "given twice", "--", id, "-200");
  expect(JSON.parse(taken.out)).toMatchObject({ customerId: id, amount: -200, balance: 300, isReplayed: false });
  const tooMuch = await onrush("points", "adjust", "--yes", "--json", "--reason", "x", "--", id, "-301");
  expect([tooMuch.code, tooMuch.err]).toEqual([1, expect.stringContaining("INVALID_STATE")]);

  expect(await json("points", "show", email)).toMatchObject({
    customerId: id,
    balance: 300,
    tier: "bronze",
    entries: [
      { kind: "adjust", amount: -200, balance: 300, reason: "given twice" },
      { kind: "adjust", amount: 500, reason: "축하" },
    ],
  });
  const shown = await onrush("points", "show", id, "--limit", "1");
  expect(shown.out).toMatch(/^points +300$/m);
  expect(shown.out).toMatch(/^tier +bronze, earns 1 %$/m);
  expect(shown.out).toMatch(/^next +silver, 300000 KRW from here$/m);
  expect(shown.out).toMatch(/adjust +-200 +300 +given twice$/m);
  expect(shown.out).not.toMatch(/축하/);
  const trail = await json<{ actor: string; reason: string | null }[]>("audit", "list", "--subject", `points:${id}`);
  expect(trail).toMatchObject([{ reason: "given twice" }, { actor: expect.stringMatching(/^cli:/), reason: "축하" }]);
});

it("checks the books, and fails where they do not agree", async () => {
  const { id } = await member();
  await json("points", "adjust", id, "100", "--yes", "--reason", "x");
  const sound = await onrush("points", "check");
  expect([sound.code, sound.out]).toEqual([0, expect.stringMatching(/The books agree\.\n$/)]);
  await pool.query("UPDATE points_accounts SET balance = balance + 1 WHERE customer_id = $1", [id]);
  const wrong = await onrush("points", "check");
  expect([wrong.code, wrong.out]).toEqual([1, expect.stringContaining(`! ${id} has 101 points`)]);
  await pool.query("UPDATE points_accounts SET balance = balance - 1 WHERE customer_id = $1", [id]);
});

it("refuses what is no member, amount, key or reason, and to change anything unasked", async () => {
  const { id } = await member();
  for (const who of [makeCustomerId(), "nobody@example.com", "'; --"]) {
    expect(await failure("points", "show", who)).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    expect(await failure("points", "adjust", who, "1", "--yes", "--reason", "x")).toMatchObject({ code: "NOT_FOUND" });
  }
  for (const amount of ["0", "1.5", "1e3", "x", String(AMOUNT_MAX + 1)]) {
    expect(await failure("points", "adjust", id, amount, "--yes", "--reason", "x")).toMatchObject({
      exit: 2,
      code: "USAGE",
    });
  }
  expect(await failure("points", "adjust", id, "1", "--yes", "--reason", "x", "--key", "열쇠")).toMatchObject({
    exit: 2,
  });
  expect(await failure("points", "adjust", id, "1", "--yes")).toMatchObject({ exit: 2, code: "USAGE" });
  expect(await failure("points", "adjust", id, "1", "--reason", "x")).toMatchObject({ exit: 2, code: "USAGE" });
  expect(await json("points", "show", id)).toMatchObject({ balance: 0, entries: [] });
});

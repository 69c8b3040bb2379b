// `onrush coupon`, by the real binary.
import { describe, expect, it } from "vitest";
import { makeCustomerId } from "../../engine/members/users.ts";
import { openCliShop } from "./cli-shop.ts";

const shop = await openCliShop();
const { onrush, json, failure, pool } = shop;

describe("onrush coupon", () => {
  it("makes a coupon that orders can use at once, shows it and closes it", async () => {
    const { saleId, productId } = await shop.openSale({ stock: 5 });
    const options = ["--percent", "10", "--maximum", "300", "--limit", "3", "--sale", saleId, "--yes"];
    const made = await onrush("coupon", "create", "cli-ten", ...options, "--reason", "launch");
    expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^code +CLI-TEN$/m)]);
    expect(made.out).toMatch(/10 %, at most 300 KRW/);
    await shop.engine.catalogue.refresh();
    const order = { saleId, customerId: makeCustomerId(), items: [{ productId, quantity: 1 }], couponCode: "CLI-TEN" };
    expect(await shop.engine.place(order)).toMatchObject({ price: 5_000, discount: 300, payable: 4_700 });
    const found = await json<{ code: string; uses: object }>("coupon", "show", "cli-Ten");
    expect(found).toMatchObject({ code: "CLI-TEN", uses: { limit: 3 } });
    expect((await onrush("coupon", "list")).out).toMatch(/^CLI-TEN +10 %, at most 300 KRW +3 +3 /m);
    expect(await json("coupon", "close", "cli-ten", "--yes")).toMatchObject({ code: "CLI-TEN", withdrawn: 2 });
    await shop.engine.catalogue.refresh();
    await expect(shop.engine.place(order)).rejects.toMatchObject({
      code: "COUPON_INVALID",
      facts: { reason: "closed" },
    });
    const audit = await pool.query("SELECT action, reason FROM audit_log WHERE subject = 'coupon:CLI-TEN' ORDER BY id");
    expect(audit.rows).toEqual([
      { action: "coupon.create", reason: "launch" },
      { action: "coupon.close", reason: null },
    ]);
  });

  it("says what is wrong, and changes nothing unasked", async () => {
    const { saleId } = await shop.openSale({ stock: 5 });
    const create = (...more: string[]) => failure("coupon", "create", "BAD", "--limit", "1", "--sale", saleId, ...more);
    expect(await create("--amount", "5")).toMatchObject({ exit: 2 });
    expect(await create("--yes")).toMatchObject({ exit: 2, message: "amount: is needed, or percent, and not both." });
    expect(await create("--yes", "--amount", "5", "--from", "yesterday")).toMatchObject({ exit: 2 });
    expect(await create("--yes", "--amount", "5", "--sale", "nowhere")).toMatchObject({ exit: 2, code: "VALIDATION" });
    expect(await failure("coupon", "show", "BAD")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    expect(await failure("coupon", "close", "BAD", "--yes")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
  });

  it("checks the books of coupons, and fails where they do not agree", async () => {
    const { saleId } = await shop.openSale({ stock: 5 });
    await json("coupon", "create", "CHECKED", "--amount", "5", "--limit", "7", "--sale", saleId, "--yes");
    const { saleId: closed } = await shop.openSale({ stock: 5 });
    expect((await onrush("stock", "show", "--sale", closed)).code).toBe(0);
    await pool.query("UPDATE coupons SET uses = 8 WHERE code = 'CHECKED'");
    const wrong = await onrush("coupon", "check");
    expect([wrong.code, wrong.out]).toEqual([1, expect.stringContaining("! CHECKED has 8 uses; 7 are allocated")]);
    await pool.query("UPDATE coupons SET uses = 7 WHERE code = 'CHECKED'");
  });
});

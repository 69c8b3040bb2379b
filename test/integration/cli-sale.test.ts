// `onrush sale` and the changes of stock, by the real binary.
import { randomUUID } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { createProduct } from "../../engine/catalogue/products.ts";
import { openCliShop } from "./cli-shop.ts";

vi.setConfig({ testTimeout: 300_000 });
const shop = await openCliShop();
const { onrush, json, failure, pool } = shop;

interface SaleAnswer {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly version: number;
  readonly items: readonly { productId: string; price: number; perCustomerLimit: number | null; remaining: number }[];
}

async function product(name = "녹차", currency = "KRW"): Promise<string> {
  const id = randomUUID();
  await createProduct(pool, id, { name, description: "", price: 3_000, currency });
  return id;
}

const trail = (subject: string) =>
  json<{ action: string; actor: string; reason: string | null }[]>("audit", "list", "--subject", subject);

describe("onrush sale", () => {
  it("creates a sale that sells at once, and shows it", async () => {
    const id = await product();
    const item = `${id},stock=5,price=2500,limit=2`;
    const made = await json<SaleAnswer>("sale", "create", "--id", "tea", "--name", "차 세일", "--item", item, "--yes");
    expect(made).toMatchObject({ id: "tea", name: "차 세일", state: "open", version: 1 });
    expect(made.items).toMatchObject([{ productId: id, price: 2_500, perCustomerLimit: 2, remaining: 5 }]);
    await shop.engine.catalogue.refresh();
    expect(await shop.place({ saleId: "tea", productId: id })).toMatchObject({ price: 2_500 });

    const list = await onrush("sale", "list");
    expect(list.out).toMatch(/^id +name +state +opens \(UTC\) +left$/m);
    expect(list.out).toMatch(/^tea +차 세일 +open +\d{4}-\d\d-\d\d \d\d:\d\d +4$/m);
    expect(await json("sale", "list")).toMatchObject([{ id: "tea", items: [{ remaining: 4 }] }]);
    const show = await onrush("sale", "show", "tea");
    expect(show.out).toMatch(/^closes +never$/m);
    expect(show.out).toMatch(new RegExp(`^${id} +녹차 +2500 KRW +2 +4$`, "m"));
    expect(await json("sale", "show", "tea")).toMatchObject({ id: "tea", partitionStates: [{ state: "live" }] });
    expect(await trail("sale:tea")).toMatchObject([{ action: "sale.create", actor: expect.stringMatching(/^cli:/) }]);
  });

  it("refuses what makes no sale, and makes none", async () => {
    const [krw, usd] = [await product(), await product("tea", "USD")];
    const create = (...args: string[]) => failure("sale", "create", "--name", "x", ...args, "--yes");
    const wrong = [
      [],
      ["--item", "x,stock=1"],
      ["--item", `${krw},stock=-1`],
      ["--item", `${krw},stock=1,colour=2`],
      ["--item", `${krw},stock=1`, "--item", `${krw},stock=1`],
      ["--item", `${krw},stock=1`, "--item", `${usd},stock=1`],
      ["--item", `${randomUUID()},stock=1`],
      ["--item", `${krw},stock=1`, "--ttl", "4"],
      ["--item", `${krw},stock=1`, "--opens", "tomorrow"],
      ["--item", `${krw},stock=1`, "--opens", "2099-01-02T00:00:00Z", "--closes", "2099-01-01T00:00:00Z"],
      ["--item", `${krw},stock=1`, "--id", "No Id"],
      ["--item", `${krw},stock=1`, "--partitions", "0"],
    ];
    const refused = await Promise.all(wrong.map(async (args) => ({ args, ...(await create(...args)) })));
    for (const { args, ...answer } of refused) expect({ args, ...answer }).toMatchObject({ args, exit: 2, out: "" });
    expect(await failure("sale", "create", "--yes")).toMatchObject({ exit: 2, code: "USAGE" });
    await json("sale", "create", "--id", "one", "--name", "x", "--item", `${krw},stock=1`, "--yes");
    expect(await create("--id", "one", "--item", `${krw},stock=1`)).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect((await json<unknown[]>("sale", "list")).length).toBe(2);
  });

  it("edits name, window and items, under the version that was read", async () => {
    const { saleId, productId } = await shop.openSale({ stock: 3 });
    const added = await product("홍차");
    const edited = await json<SaleAnswer>(
      ...["sale", "edit", saleId, "--name", "가을", "--ttl", "60", "--closes", "2099-01-01T00:00:00+09:00"],
      ...["--item", `${productId},price=4000,limit=1`, "--item", `${added},stock=7`, "--expect", "1"],
      ...["--reason", "새 가격", "--yes"],
    );
    expect(edited).toMatchObject({
      name: "가을",
      version: 2,
      closesAt: "2098-12-31T15:00:00.000Z",
      reservationTtlSeconds: 60,
    });
    expect(edited.items).toMatchObject([
      { price: 4_000, perCustomerLimit: 1, remaining: 3 },
      { productId: added, price: 3_000, remaining: 7 },
    ]);
    const edit = (...args: string[]) => failure("sale", "edit", saleId, ...args, "--yes");
    expect(await edit("--name", "x", "--expect", "1")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect(await edit("--item", `${productId},stock=1`)).toMatchObject({ exit: 2, code: "VALIDATION" });
    expect(await edit()).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await failure("sale", "edit", "nowhere", "--name", "x", "--yes")).toMatchObject({
      exit: 1,
      code: "NOT_FOUND",
    });
    const back = await json<SaleAnswer>(
      ...["sale", "edit", saleId, "--item", `${productId},price=product,limit=none`, "--closes", "never", "--yes"],
    );
    expect(back.items[0]).toMatchObject({ price: 5_000, perCustomerLimit: null });
    expect(back).toMatchObject({ closesAt: null });
    expect((await trail(`sale:${saleId}`)).map(({ reason }) => reason)).toEqual([null, "새 가격"]);
  });

  it("opens, pauses and closes", async () => {
    const sale = await shop.openSale({ stock: 3 }, { opensAt: new Date("2099-01-01T00:00:00Z") });
    const act = (what: string) => json<SaleAnswer>("sale", what, sale.saleId, "--yes", "--reason", "because");
    expect(await json("sale", "show", sale.saleId)).toMatchObject({ state: "scheduled" });
    expect(await act("open")).toMatchObject({ state: "open" });
    await shop.engine.catalogue.refresh();
    await shop.place(sale);
    expect(await act("pause")).toMatchObject({ state: "paused" });
    await expect(shop.place(sale)).rejects.toMatchObject({ code: "SALE_NOT_OPEN" });
    const closed = await onrush("sale", "close", sale.saleId, "--yes");
    expect(closed.out).toMatch(/^state +closed$/m);
    expect(await failure("sale", "pause", sale.saleId, "--yes")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect((await trail(`sale:${sale.saleId}`)).map(({ action }) => action)).toEqual([
      "sale.close",
      "sale.pause",
      "sale.open",
    ]);
  });

  it.each([
    ["sale", "open", "nowhere"],
    ["sale", "pause", "nowhere"],
    ["sale", "close", "no/where"],
    ["sale", "show", "nowhere"],
    ["stock", "restock", "nowhere", randomUUID(), "1"],
    ["stock", "write-off", "nowhere", randomUUID(), "1", "--reason", "x"],
  ])("%s %s %s: there is none", async (...args) => {
    const yes = args[1] === "show" ? [] : ["--yes"];
    expect(await failure(...args, ...yes)).toMatchObject({ exit: 1, code: "NOT_FOUND", out: "" });
    expect((await onrush(...args, ...yes)).err).toMatch(/^There is no sale \S+\.\n$/);
  });

  it("changes nothing unasked where nobody can be asked", async () => {
    const { saleId, productId } = await shop.openSale({ stock: 1 });
    for (const args of [
      ["sale", "close", saleId],
      ["sale", "create", "--name", "x", "--item", `${productId},stock=1`],
      ["sale", "edit", saleId, "--name", "x"],
      ["stock", "restock", saleId, productId, "1"],
      ["stock", "write-off", saleId, productId, "1", "--reason", "x"],
    ]) {
      expect(await failure(...args)).toMatchObject({ exit: 2, code: "USAGE" });
      expect((await onrush(...args)).err).toContain("add --yes");
    }
    expect(await json("sale", "show", saleId)).toMatchObject({ state: "open", items: [{ remaining: 1 }] });
  });
});

describe("onrush stock", () => {
  it("restocks and writes off, with reasons in the trail", async () => {
    const { saleId, productId } = await shop.openSale({ stock: 2 });
    const more = await json<SaleAnswer>("stock", "restock", saleId, productId, "10", "--reason", "재입고", "--yes");
    expect(more.items).toMatchObject([{ remaining: 12 }]);
    const less = await onrush("stock", "write-off", saleId, productId, "5", "--reason", "파손", "--yes");
    expect([less.code, less.out]).toEqual([0, expect.stringMatching(new RegExp(`^${productId} .* 7$`, "m"))]);
    expect(await trail(`sale:${saleId}`)).toMatchObject([
      { action: "stock.write_off", reason: "파손" },
      { action: "stock.restock", reason: "재입고" },
    ]);
    const write = (quantity: string, ...reason: string[]) =>
      failure("stock", "write-off", saleId, productId, quantity, ...reason, "--yes");
    expect(await write("8", "--reason", "x")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect(await write("1")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await write("1", "--reason", " ")).toMatchObject({ exit: 2, code: "USAGE" });
    for (const quantity of ["0", "1.5", "x", "1e3", "99999999999"]) {
      expect(await failure("stock", "restock", saleId, productId, quantity, "--yes")).toMatchObject({ exit: 2 });
    }
    expect(await failure("stock", "restock", saleId, "tea", "1", "--yes")).toMatchObject({ exit: 2 });
    const other = await product();
    expect(await failure("stock", "restock", saleId, other, "1", "--yes")).toMatchObject({
      exit: 1,
      code: "NOT_FOUND",
    });
    const stock = await onrush("stock", "show", "--sale", saleId);
    expect(stock.out).toMatch(/^커피 +7 +0 +0 +0 +0 +12$/m); // no persister runs: the ledger has not heard of it
    expect(await json("audit", "list", "--limit", "1", "--action", "stock.write_off")).toHaveLength(1);
    expect((await onrush("audit", "list", "--subject", `sale:${saleId}`)).out).toMatch(
      /stock\.restock +sale:\S+ +재입고$/m,
    );
    expect(await failure("audit", "list", "--action", "nonsense")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await failure("audit", "list", "--limit", "0")).toMatchObject({ exit: 2, code: "USAGE" });
  });
});

// `onrush sale import`, by the real binary.
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { createProduct } from "../../engine/catalogue/products.ts";
import { scratchFolder } from "../support/scratch.ts";
import { openCliShop } from "./cli-shop.ts";

vi.setConfig({ testTimeout: 300_000 });
const shop = await openCliShop();
const { onrush, json, failure, pool } = shop;
const folder = scratchFolder("cli-import");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Buffer): string {
  const at = path.join(folder, name);
  writeFileSync(at, content);
  return at;
}

async function product(): Promise<string> {
  const id = randomUUID();
  await createProduct(pool, id, { name: "녹차", description: "", price: 3_000, currency: "KRW" });
  return id;
}

interface Imported {
  readonly applied: boolean;
  readonly sales: readonly { id: string; action: string; items: number; products: number }[];
  readonly issues: readonly { at: string; message: string }[];
}

const HEADING =
  "sale,name,opensAt,closesAt,membersOnly,productId,productName,productPrice,stock,price,perCustomerLimit";

describe("onrush sale import", () => {
  it("makes sales and products from CSV, and can be repeated", async () => {
    const [known, missing] = [await product(), randomUUID()];
    const csv = [
      HEADING,
      `autumn,"가을, ""세일""",2026-01-01T00:00:00+09:00,never,no,${known},,,10,2500,2`,
      `autumn,,,,,${missing},"티셔츠, 검정",12000,5,,`,
      "",
      `spring,봄,,,yes,${known},,,1,,`,
    ].join("\r\n");
    const at = file("autumn.csv", `\ufeff${csv}`);
    const dry = await json<Imported>("sale", "import", at, "--dry-run");
    expect(dry).toMatchObject({
      applied: false,
      issues: [],
      sales: [
        { id: "autumn", action: "create", items: 2, products: 1 },
        { id: "spring", action: "create", items: 1, products: 0 },
      ],
    });
    expect(await json("sale", "list")).toEqual([]);
    const done = await onrush("sale", "import", at, "--yes", "--reason", "시즌");
    expect([done.code, done.out]).toEqual([0, "2 sale(s) imported.\n"]);
    expect(await json("sale", "show", "autumn")).toMatchObject({
      name: '가을, "세일"',
      closesAt: null,
      state: "open",
      items: [
        { productId: known, price: 2_500, perCustomerLimit: 2, remaining: 10 },
        { productId: missing, name: "티셔츠, 검정", price: 12_000, perCustomerLimit: null, remaining: 5 },
      ],
    });
    expect(await json("sale", "show", "spring")).toMatchObject({ membersOnly: true });
    expect(await json("audit", "list", "--subject", "sale:autumn")).toMatchObject([
      { action: "sale.create", reason: "시즌" },
    ]);

    const again = await onrush("sale", "import", at, "--yes");
    expect([again.code, again.out]).toEqual([0, expect.stringContaining("Everything is there already.")]);
    const more = file("more.csv", csv.replace(",2500,2", ",2000,2").replace("spring,봄,,,yes", "spring,봄,,,no"));
    expect((await json<Imported>("sale", "import", more, "--yes")).sales).toMatchObject([
      { id: "autumn", action: "change", items: 1 },
      { id: "spring", action: "change", items: 0 },
    ]);
    expect(await json("sale", "show", "autumn")).toMatchObject({
      version: 2,
      items: [{ price: 2_000, remaining: 10 }, { remaining: 5 }],
    });
  });

  it("tells everything that is wrong by its line, and changes nothing", async () => {
    const known = await product();
    const at = file(
      "wrong.csv",
      [
        `${HEADING},colour`,
        `ok,Fine,,,,${known},,,1,,,`,
        `w,Wrong,yesterday,,,${known},,,many,,0,`,
        `w,Other,,,,${randomUUID()},,,1,,,`,
        `w,,,,maybe,no-id,,,-1,,,`,
        `No Id,x,,,,${known},,,1,,,`,
      ].join("\n"),
    );
    const { code, out } = await onrush("sale", "import", at, "--yes", "--json");
    const { applied, issues } = JSON.parse(out) as Imported;
    expect([code, applied]).toEqual([1, false]);
    const told = issues.map((issue) => `${issue.at}: ${issue.message}`).join("\n");
    for (const expected of [
      /^line 1: there is no column colour/m,
      /^line 3: stock: many is no whole number/m,
      /^line 3: opensAt: must be an instant/m,
      /^line 3: perCustomerLimit: /m,
      /^line 4: name: another row of the sale w says Wrong/m,
      /^line 4: there is no product/m,
      /^line 5: membersOnly: must be yes or no/m,
      /^line 5: productId: must be a UUID/m,
      /^line 5: stock: /m,
      /^line 6: id: /m,
    ]) {
      expect(told).toMatch(expected);
    }
    expect((await onrush("sale", "import", at, "--dry-run")).out).toContain("Nothing was changed.");
    expect(await failure("sale", "show", "ok")).toMatchObject({ code: "NOT_FOUND" });
  });

  it("reads JSON, and files as Korean spreadsheets write them", async () => {
    const known = await product();
    const sales = [{ id: "json", name: "제이슨", items: [{ productId: known, stock: 3 }] }];
    await json("sale", "import", file("a.json", JSON.stringify(sales)), "--yes");
    expect(await json("sale", "show", "json")).toMatchObject({ name: "제이슨", items: [{ remaining: 3 }] });
    const wrong = file("b.json", JSON.stringify({ sales: [{ id: "x", name: "", items: [{ productId: known }] }, 5] }));
    const { out } = await onrush("sale", "import", wrong, "--dry-run", "--json");
    expect((JSON.parse(out) as Imported).issues.map(({ at }) => at)).toEqual([
      "sales[1]",
      "sales[0]",
      "sales[0].items[0]",
    ]);

    const name = Buffer.from([0xb0, 0xa1, 0xc0, 0xbb]); // 가을 in EUC-KR
    const text = `sale;name;productId;stock\nkr;@;${known};1\n`.split("@").map((part) => Buffer.from(part));
    const korean = Buffer.concat([text[0] ?? Buffer.of(), name, text[1] ?? Buffer.of()]);
    await json("sale", "import", file("kr.csv", korean), "--yes");
    expect(await json("sale", "show", "kr")).toMatchObject({ name: "가을" });
    const utf16 = Buffer.from(`\ufeffsale\tname\tproductId\tstock\nutf\t겨울\t${known}\t1\n`, "utf16le");
    await json("sale", "import", file("utf.csv", utf16), "--yes");
    expect(await json("sale", "show", "utf")).toMatchObject({ name: "겨울" });
  });

  it("refuses what is no such file", async () => {
    expect(await failure("sale", "import", file("a.txt", "x"), "--yes")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await failure("sale", "import", path.join(folder, "none.csv"), "--yes")).toMatchObject({
      exit: 1,
      code: "UNREADABLE",
    });
    expect(await failure("sale", "import", file("c.csv", "sale\n"))).toMatchObject({ exit: 2, code: "USAGE" });
    for (const [name, content, message] of [
      ["d.csv", "", "names no sale"],
      ["e.csv", 'sale,name\n"x', ""],
      ["f.json", "{", ""],
      ["g.json", "{}", "must be a list of sales"],
    ] as const) {
      const { code, out } = await onrush("sale", "import", file(name, content), "--dry-run", "--json");
      expect([name, code]).toEqual([name, 1]);
      expect((JSON.parse(out) as Imported).issues[0]?.message).toContain(message);
    }
  });
});

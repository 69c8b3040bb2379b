// `onrush product`, by the real binary.
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { findProduct } from "../../engine/catalogue/products.ts";
import { scratchFolder } from "../support/scratch.ts";
import { openCliShop } from "./cli-shop.ts";

vi.setConfig({ testTimeout: 180_000 });
const { onrush, json, failure, pool, openSale } = await openCliShop();
const folder = scratchFolder("cli-product");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const at = path.join(folder, name);
  writeFileSync(at, content);
  return at;
}

interface FileProduct {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly price: number;
  readonly currency: string;
  readonly imageUrl: string;
}

const HEADING = "id,name,description,price,currency,imageUrl";

describe("onrush product", () => {
  it("imports what is right of a file, tells by line what is wrong, and can be repeated", async () => {
    const [tea, mug] = [randomUUID(), randomUUID()];
    const csv = [
      HEADING,
      `${tea},보리차,"구수한, ""햇"" 보리",3500,,`,
      `${mug},머그,,x,KRW,`,
      "no-id,컵,,1,,",
      `${tea},또 보리차,,1,,`,
      "too,many,cells,1,KRW,,,",
      `,새 상품,,0,USD,https://images.example/a.png`,
      `${randomUUID()},,,5,,`,
    ].join("\r\n");
    const at = file("products.csv", `\ufeff${csv}`);

    const dry = await onrush("product", "import", at, "--dry-run");
    expect(dry.code).toBe(1);
    expect(dry.out).toContain("2 products could be imported; nothing was changed.");
    expect(await json("product", "list")).toEqual([]);

    const run = await onrush("product", "import", at, "--yes", "--reason", "첫 가져오기");
    expect([run.code, run.err]).toEqual([1, ""]);
    expect(run.out).toContain("line 3: price: ");
    expect(run.out).toContain("line 4: id: must be a UUID");
    expect(run.out).toContain("line 5: id: the same as at line 2");
    expect(run.out).toMatch(/^line 6: /m);
    expect(run.out).toMatch(/^line 8: name: /m);
    expect(run.out).toContain("2 products made, 0 changed, 0 as they were.");
    expect(await findProduct(pool, tea)).toMatchObject({
      name: "보리차",
      description: '구수한, "햇" 보리',
      price: 3_500,
      currency: "KRW",
    });

    const change = file("change.jsonl", `${JSON.stringify({ id: tea, name: "옥수수차", price: 4_000 })}\n\n{"id":\n`);
    const changed = await onrush("product", "import", change, "--yes", "--json");
    expect(JSON.parse(changed.out)).toMatchObject({ created: 0, changed: 1, same: 0, issues: [{ at: "line 3" }] });
    expect(await findProduct(pool, tea)).toMatchObject({ name: "옥수수차", version: 2 });
    const again = file("again.json", JSON.stringify([{ id: tea, name: "옥수수차", price: 4_000 }]));
    expect(await json("product", "import", again, "--yes")).toMatchObject({
      created: 0,
      changed: 0,
      same: 1,
      issues: [],
    });

    const audit = await json<{ action: string; reason: string | null }[]>("audit", "list");
    expect(audit.filter(({ action }) => action === "product.import")).toHaveLength(2);
  });

  it("leaves deleted products deleted, and the currency of those that a sale offers", async () => {
    const gone = randomUUID();
    const { productId: offered } = await openSale({ stock: 1 });
    await pool.query("INSERT INTO products (id, name, price, currency, deleted_at) VALUES ($1, 'x', 1, 'KRW', now())", [
      gone,
    ]);
    const at = file("refused.csv", `${HEADING}\n${gone},다시,,1,,\n${offered},커피,,5,USD,\n`);
    const run = await onrush("product", "import", at, "--yes");
    expect(run.code).toBe(1);
    expect(run.out).toContain("line 2: id: the product was deleted");
    expect(run.out).toContain("line 3: currency: a sale offers this product in another one");
    expect(await findProduct(pool, offered)).toMatchObject({ currency: "KRW" });
  });

  it("exports what import takes, also names that look like formulas", async () => {
    const id = randomUUID();
    await pool.query(
      "INSERT INTO products (id, name, description, price, currency) VALUES ($1, '=1+1', 'a\nb', 7, 'KRW')",
      [id],
    );
    const wide = randomUUID();
    await pool.query("INSERT INTO products (id, name, price, currency) VALUES ($1, '＝1+1', 7, 'KRW')", [wide]);
    const csv = await onrush("product", "export");
    expect(csv.out).toContain(`${id},'=1+1,"a\nb",7,KRW,`);
    expect(csv.out).toContain(`${wide},'＝1+1,,7,KRW,`);
    const products = csv.out.split("\r\n").length - 2;
    const again = await json("product", "import", file("exported.csv", csv.out), "--yes");
    expect(again).toMatchObject({ created: 0, changed: 0, same: products, issues: [] });
    const lines = (await onrush("product", "export", "--format", "jsonl")).out.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).id)).toContain(id);
    expect(lines).toHaveLength(products);
  });

  it("lists and finds", async () => {
    expect((await onrush("product", "list", "--query", "옥수수")).out).toContain("옥수수차");
    expect((await onrush("product", "list", "--query", "zzz")).out).toBe("There is no such product.\n");
  });

  it("imports thousands, tells the bad ones among them in their order, and has every other one", async () => {
    const ruined: ((product: FileProduct) => object)[] = [
      (product) => ({ ...product, price: "만원" }),
      (product) => ({ ...product, name: "" }),
      (product) => ({ ...product, currency: "won" }),
      (product) => ({ ...product, id: "nope" }),
      (product) => ({ ...product, imageUrl: "ftp://images.example/a.png" }),
    ];
    const isBad = (n: number) => n % 81 === 40;
    const products = Array.from({ length: 3_000 }, (_, n) => {
      const product: FileProduct = {
        id: randomUUID(),
        name: n % 2 === 0 ? `한빛 원두 커피 ${n}` : `Aurora Desk Lamp ${n}`,
        description: n % 3 === 0 ? "두 줄\n설명" : `ships in ${n} days, "soon"`,
        price: n,
        currency: "KRW",
        imageUrl: `https://images.example/${n}.png`,
      };
      return isBad(n) ? (ruined[Math.floor(n / 81) % ruined.length]?.(product) ?? product) : product;
    });
    const quoted = (cell: unknown) => `"${String(cell).replaceAll('"', '""')}"`;
    const rows = products.map((product) => Object.values(product).map(quoted).join(","));
    rows.splice(1_000, 0, `,"never closed,,1,KRW,`);
    const lineOf = [2];
    for (const row of rows) lineOf.push((lineOf.at(-1) ?? 0) + row.split("\n").length);
    const bad = products.flatMap((_, n) => (isBad(n) ? [lineOf[n < 1_000 ? n : n + 1]] : []));
    const right = 3_000 - bad.length;

    const csv = await onrush("product", "import", file("many.csv", [HEADING, ...rows].join("\r\n")), "--yes");
    expect(csv.code).toBe(1);
    expect(csv.out).toContain(`${right} products made, 0 changed, 0 as they were.`);
    const told = [...csv.out.matchAll(/^line (\d+): /gm)].map(([, line]) => Number(line));
    expect(told).toEqual([...bad, lineOf[1_000]].toSorted((a = 0, b = 0) => a - b));
    expect(await json("product", "list", "--query", "aurora desk lamp 2999")).toMatchObject([{ price: 2_999 }]);

    const again = file("many.jsonl", products.map((product) => JSON.stringify(product)).join("\n"));
    const lines = await onrush("product", "import", again, "--yes", "--json");
    expect([lines.code, lines.err]).toEqual([1, ""]);
    const { created, changed, same, issues } = JSON.parse(lines.out);
    expect({ created, changed, same }).toEqual({ created: 0, changed: 0, same: right });
    expect(issues.map(({ at }: { at: string }) => at)).toEqual(
      products.flatMap((_, n) => (isBad(n) ? [`line ${n + 1}`] : [])),
    );
  });

  it("refuses what it cannot do", async () => {
    expect(await failure("product", "import", path.join(folder, "none.csv"), "--yes")).toMatchObject({ exit: 1 });
    expect(await failure("product", "import", "x.txt", "--yes")).toMatchObject({ exit: 2 });
    expect(await failure("product", "import", "x.csv")).toMatchObject({ exit: 2 });
    const heading = file("heading.csv", "id,naem\n");
    expect((await onrush("product", "import", heading, "--yes")).code).toBe(1);
  });
});

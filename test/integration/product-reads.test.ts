// Products read from their copies in Redis: what is shown, by several processes, while products change.
import { randomUUID } from "node:crypto";
import { createClient } from "redis";
import { type Entity, Repository } from "redis-om";
import { describe, expect, it, onTestFinished, test, vi } from "vitest";
import { createApp } from "../../api/app.ts";
import { findProduct, findProductsAsOf } from "../../engine/catalogue/products.ts";
import { clientOptions } from "../../engine/catalogue/read-model/connection.ts";
import { copyOf, copySchema, entityOf, hashOf } from "../../engine/catalogue/read-model/copy.ts";
import { COPY_TTL_MS, type ReadCounts } from "../../engine/catalogue/read-model/reads.ts";
import { PRODUCT_COPIES } from "../../engine/keys.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import { openApiShop } from "./api-shop.ts";
import { heldBack, type ReadingProcess, startReading } from "./product-reads-processes.ts";

const shop = await openApiShop();
const url = shop.redis.urlOf("onrush_api");
const raw = shop.deps.cacheRedis;
await vi.waitUntil(() => shop.deps.copies?.isThere);

const keyOf = (id: string) => `${PRODUCT_COPIES}:${id}`;
const pathOf = (id: string) => `/api/v1/products/${id}`;
const asAdmin = (method: string, id: string, body?: object, headers: Record<string, string> = {}) =>
  shop.call(method, id === "" ? "/api/v1/products" : pathOf(id), { token: shop.admin, body, headers });
const make = async (body: object = {}) => (await asAdmin("POST", "", { name: "녹차", price: 3_000, ...body })).body.id;
/** As a change that nobody is told of: its author died after the commit. */
const changeUntold = (id: string, name: string) =>
  shop.pool.query("UPDATE products SET name = $2, version = version + 1 WHERE id = $1", [id, name]);

/** A process that reads. @param readFrom the products, if not simply from Postgres */
async function reading(readFrom: Queryable = shop.pool): Promise<ReadingProcess> {
  const process = await startReading(url, shop.pool, readFrom);
  onTestFinished(() => process.stop());
  await expect.poll(() => process.copies.isThere).toBe(true);
  return process;
}
const counted = ({ reads }: ReadingProcess): ReadCounts => ({ ...reads.reads });
const nameOf = async ({ reads }: ReadingProcess, id: string) => (await reads.find(id))?.name;

describe("a copy", () => {
  it("is what Postgres says, field by field", async () => {
    const imageUrl = "https://shop.example/tea.jpg";
    const price = 1_000_000_000_000;
    for (const body of [{ name: "녹차 \"햇\" 'x' | 茶 🍵", description: "a\nb", imageUrl, price }, { price: 0 }]) {
      const id = await make(body);
      const process = await reading();
      expect(await process.reads.find(id)).toEqual(await findProduct(shop.pool, id));
      expect(await process.reads.find(id.toUpperCase())).toEqual(await findProduct(shop.pool, id));
      expect(counted(process)).toEqual({ hit: 2, miss: 0, fallback: 0 });
    }
  });

  it("is written as redis-om would write it, and read by it", async () => {
    const client = await createClient(clientOptions(url)).connect();
    onTestFinished(() => client.disconnect());
    const copies = new Repository<Entity>(copySchema, client);
    for (const imageUrl of [null, "https://shop.example/a.png"]) {
      const id = await make({ imageUrl });
      const [found] = await findProductsAsOf(shop.pool, [id]);
      if (!found) throw new Error("the product is not there");
      const entity = entityOf(found);
      await copies.save("saved", entity);
      expect(hashOf(entity)).toEqual(await raw.hgetall(keyOf("saved")));
      expect(copyOf(await copies.fetch("saved"))).toEqual({ catalogue: found.catalogue, product: found.product });
      expect(await raw.hgetall(keyOf(id))).toMatchObject({ name: "녹차", version: "1", isDeleted: "0" });
      await copies.remove("saved");
    }
  });

  it("is made by the first read, expires, and is made again", async () => {
    const id = await make();
    await raw.del(keyOf(id));
    const process = await reading();
    expect(await nameOf(process, id)).toBe("녹차");
    await expect.poll(() => raw.pttl(keyOf(id))).toBeGreaterThan(0);
    expect(await raw.pttl(keyOf(id))).toBeLessThanOrEqual(COPY_TTL_MS);
    await nameOf(process, id);
    expect(counted(process)).toEqual({ hit: 1, miss: 1, fallback: 0 });
    await raw.pexpire(keyOf(id), 1);
    await expect.poll(() => raw.exists(keyOf(id))).toBe(0);
    expect(await nameOf(process, id)).toBe("녹차");
    expect(counted(process)).toEqual({ hit: 1, miss: 2, fallback: 0 });
  });

  test.each([
    { catalogue: "9", name: "half of one", isDeleted: "0" },
    { catalogue: "x" },
    { catalogue: "999999999", isDeleted: "perhaps", name: "rubbish" },
    { catalogue: "-1", isDeleted: "0" },
  ])("that is rubbish (%j) is not shown", async (fields) => {
    const id = await make();
    const process = await reading();
    await raw.del(keyOf(id));
    await raw.hset(keyOf(id), fields);
    expect(await nameOf(process, id)).toBe("녹차");
    await raw.del(keyOf(id));
  });

  it("of what was never there is none", async () => {
    const id = randomUUID();
    expect((await shop.call("GET", pathOf(id))).status).toBe(404);
    expect(await raw.exists(keyOf(id))).toBe(0);
  });
});

describe("a change", () => {
  it("is seen by every process once it is answered, whatever that has heard", async () => {
    const id = await make();
    const [one, two] = [await reading(), await reading()];
    expect([await nameOf(one, id), await nameOf(two, id)]).toEqual(["녹차", "녹차"]);
    for (let turn = 1; turn <= 20; turn += 1) {
      const answer = await asAdmin("PUT", id, { name: `홍차 ${turn}`, price: turn });
      expect([await nameOf(one, id), await nameOf(two, id)]).toEqual([`홍차 ${turn}`, `홍차 ${turn}`]);
      expect((await shop.call("GET", pathOf(id))).body).toEqual(answer.body);
    }
    expect(counted(two)).toEqual({ hit: 21, miss: 0, fallback: 0 });
  });

  it("whose author died is seen by whoever learns of the catalogue's new version", async () => {
    const id = await make();
    const [told, untold] = [await reading(), await reading()];
    await changeUntold(id, "홍차");
    expect(await nameOf(untold, id)).toBe("녹차");
    await told.catalogue.refresh();
    expect(await nameOf(told, id)).toBe("홍차");
    // By now its copy is new, and tells the other one of the version that it is as of.
    await expect.poll(() => raw.hget(keyOf(id), "name")).toBe("홍차");
    expect(await nameOf(untold, id)).toBe("홍차");
    expect(counted(untold)).toEqual({ hit: 2, miss: 0, fallback: 0 });
  });

  it("is seen for good: a process that has shown it shows nothing older, also of what it hears later", async () => {
    const [seen, other] = [await make(), await make()];
    const process = await reading();
    await changeUntold(other, "old news");
    await changeUntold(seen, "홍차");
    await raw.del(keyOf(seen));
    expect(await nameOf(process, seen)).toBe("홍차");
    expect(await nameOf(process, other)).toBe("old news");
  });

  it("is not undone by a read that began before it: neither shown to later readers, nor kept", async () => {
    const id = await make();
    await raw.del(keyOf(id));
    const slow = heldBack(shop.pool);
    const [process, late] = [await reading(), await reading(slow.db)];
    const early = nameOf(late, id);
    await expect.poll(slow.given).toBe(1);

    await asAdmin("PUT", id, { name: "홍차", price: 1 });
    const key = keyOf(id);
    expect(await raw.hmget(key, "name", "version")).toEqual(["홍차", "2"]);
    expect(await nameOf(process, id)).toBe("홍차");
    slow.letGo();
    // Whoever asked before the change may be told what was before it.
    expect(await early).toBe("녹차");
    // What it read comes to Redis after the change's copy, and goes no further.
    const seen = await raw.hgetall(key);
    await expect.poll(() => late.kept).toEqual(["OLDER"]);
    expect(await raw.hgetall(key)).toEqual(seen);
    expect(await nameOf(late, id)).toBe("홍차");
  });

  it("is not hidden behind a read that others wait for", async () => {
    const id = await make();
    await raw.del(keyOf(id));
    const slow = heldBack(shop.pool);
    const process = await reading(slow.db);
    const early = [nameOf(process, id), nameOf(process, id)];
    await expect.poll(slow.given).toBe(1);
    await changeUntold(id, "홍차");
    await process.catalogue.refresh();
    const later = nameOf(process, id);
    await expect.poll(slow.given).toBe(2);
    slow.letGo();
    expect(await Promise.all(early)).toEqual(["녹차", "녹차"]);
    expect(await later).toBe("홍차");
  });

  it("is a hundred readers' one question to Postgres", async () => {
    const id = await make();
    await raw.del(keyOf(id));
    const slow = heldBack(shop.pool);
    const process = await reading(slow.db);
    const readers = Array.from({ length: 100 }, () => nameOf(process, id));
    await expect.poll(slow.given).toBe(1);
    slow.letGo();
    expect(new Set(await Promise.all(readers))).toEqual(new Set(["녹차"]));
    expect(slow.given()).toBe(1);
  });

  it("of the version is checked in Postgres alone, whatever the copy says", async () => {
    const id = await make();
    await asAdmin("PUT", id, { name: "홍차", price: 1 });
    await raw.hset(keyOf(id), { version: 7, name: "forged" });
    expect((await shop.call("GET", pathOf(id))).headers.get("etag")).toBe('"7"');
    const change = (version: number) => asAdmin("PUT", id, { name: "x", price: 2 }, { "if-match": `"${version}"` });
    expect((await change(7)).body.code).toBe("INVALID_STATE");
    expect((await change(2)).status).toBe(200);
    expect((await shop.call("GET", pathOf(id))).headers.get("etag")).toBe('"3"');
    expect((await asAdmin("DELETE", id, undefined, { "if-match": '"2"' })).body.code).toBe("INVALID_STATE");
  });
});

describe("a deleted product", () => {
  it("is not there for readers of any process, and its orders can be read", async () => {
    const { saleId, productId } = await shop.sale({ stock: 5 });
    const placed = await shop.call("POST", "/api/v1/orders", {
      body: { saleId, items: [{ productId, quantity: 1 }] },
    });
    const process = await reading();
    expect(await nameOf(process, productId)).toBe("커피");
    const { hit, miss } = counted(process);
    expect((await asAdmin("DELETE", productId)).status).toBe(204);
    expect((await shop.call("GET", pathOf(productId))).status).toBe(404);
    expect(await process.reads.find(productId)).toBeUndefined();
    expect(counted(process)).toEqual({ hit: hit + 1, miss, fallback: 0 });
    const order = await shop.call("GET", `/api/v1/orders/${placed.body.orderTrackingId}`);
    expect([order.status, order.body.items[0]]).toEqual([200, expect.objectContaining({ name: "커피" })]);
    // As it would come back: by a statement of an operator's.
    await shop.pool.query("UPDATE products SET deleted_at = NULL WHERE id = $1", [productId]);
    await process.catalogue.refresh();
    expect(await nameOf(process, productId)).toBe("커피");
  });
});

test("a Postgres that was restored from a backup is believed, once the copies from before it are gone", async () => {
  const id = await make();
  const process = await reading();
  await raw.hset(keyOf(id), { catalogue: 1_000_000_000, name: "what was lost" });
  expect(await nameOf(process, id)).toBe("what was lost");
  await raw.del(keyOf(id));
  expect(await nameOf(process, id)).toBe("녹차");
  await expect.poll(() => raw.exists(keyOf(id))).toBe(1);
  expect(await nameOf(process, id)).toBe("녹차");
  expect(counted(process)).toEqual({ hit: 2, miss: 1, fallback: 0 });
});

test("copies are read while Postgres is away, and what has none is 503", async () => {
  const other = await make();
  await raw.del(keyOf(other));
  const id = await make();
  const away = { query: async () => Promise.reject(Object.assign(new Error("x"), { code: "ECONNREFUSED" })) };
  const app = createApp({ ...shop.deps, pool: away as never });
  const [here, gone] = [await shop.call("GET", pathOf(id), { app }), await shop.call("GET", pathOf(other), { app })];
  expect([here.status, here.headers.get("etag")]).toEqual([200, '"1"']);
  expect([gone.status, gone.body.code]).toEqual([503, "OVERLOADED"]);
});

test("without a connection for copies Postgres answers", async () => {
  const id = await make();
  const app = createApp({ ...shop.deps, copies: undefined });
  expect((await shop.call("GET", pathOf(id), { app })).body).toMatchObject({ id, name: "녹차" });
});

test("the counts are scraped", async () => {
  const text = (await shop.call("GET", "/metrics", { token: shop.admin })).text;
  expect(text).toMatch(/^onrush_product_reads_total\{outcome="hit"\} [1-9]/m);
  expect(text).toMatch(/^onrush_product_reads_total\{outcome="fallback"\} \d/m);
  expect(text).toMatch(/^onrush_product_searches_total\{by="postgres"\} \d/m);
});

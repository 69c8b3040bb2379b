// `onrush orders`, `jobs`, `users` and `status`, by the real binary.
import { randomUUID } from "node:crypto";
import { readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, describe, expect, it, vi } from "vitest";
import { registerInstance } from "../../engine/instances/registration.ts";
import { CHANNELS } from "../../engine/keys.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { createLogger } from "../../engine/log.ts";
import { createUser, makeCustomerId } from "../../engine/members/users.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { connect, subscriberConnection } from "../../engine/redis/connection.ts";
import { startPersister } from "../support/assembly.ts";
import { scratchFolder } from "../support/scratch.ts";
import { openCliShop } from "./cli-shop.ts";

vi.setConfig({ testTimeout: 300_000 });
const shop = await openCliShop();
const { onrush, json, failure, pool } = shop;
let persister: Awaited<ReturnType<typeof startPersister>> | undefined;
const folder = scratchFolder("cli-orders");

afterAll(async () => {
  await persister?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const trail = (subject: string) =>
  json<{ action: string; reason: string | null; after: unknown }[]>("audit", "list", "--subject", subject);

async function persist(orderId: string): Promise<void> {
  persister ??= await startPersister(shop.servers);
  await vi.waitFor(async () => expect(await findOrder(pool, orderId)).toBeDefined(), { timeout: 20_000 });
}

describe("onrush orders", () => {
  it("shows and cancels an order that only Redis has, and one that Postgres has", async () => {
    const sale = await shop.openSale({ stock: 5 });
    const waiting = await shop.place(sale);
    const pending = await json("orders", "show", waiting.orderId.toUpperCase());
    expect(pending).toMatchObject({ id: waiting.orderId, status: "PENDING", isInLedger: false, price: 5_000 });
    expect((await onrush("orders", "show", waiting.orderId)).out).toMatch(/^where +in Redis, on its way to Postgres$/m);
    const wish = await onrush("orders", "cancel", waiting.orderId, "--yes", "--reason", "전화 요청");
    expect([wish.code, wish.out]).toEqual([0, "The order is cancelled when it arrives in Postgres.\n"]);
    await persist(waiting.orderId);
    expect(await findOrder(pool, waiting.orderId)).toMatchObject({ status: "CANCELLING", reason: "OPERATOR" });
    expect(await trail(`order:${waiting.orderId}`)).toMatchObject([{ action: "order.cancel", reason: "전화 요청" }]);

    const { orderId } = await shop.place(sale, 2);
    await persist(orderId);
    const shown = await onrush("orders", "show", orderId);
    expect(shown.out).toMatch(/^status +RESERVED$/m);
    expect(shown.out).toMatch(new RegExp(`^커피 +2 +5000 +${sale.productId}$`, "m"));
    expect(shown.out).toMatch(/^ +2 +RESERVED +\d{4}-/m);
    const cancelled = await json("orders", "cancel", orderId, "--yes");
    expect(cancelled).toMatchObject({ status: "CANCELLING", reason: "OPERATOR" });
    expect(await failure("orders", "cancel", orderId, "--yes")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect(await trail(`order:${orderId}`)).toHaveLength(1);
  });

  it("refuses ids of no order, and to cancel unasked", async () => {
    const nobody = "6920a1b2-0000-8100-8000-000000000000";
    for (const what of [["show"], ["cancel", "--yes"]]) {
      const [name = "", ...rest] = what;
      expect(await failure("orders", name, "x", ...rest)).toMatchObject({ exit: 2, code: "USAGE" });
      expect(await failure("orders", name, nobody, ...rest)).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    }
    expect(await failure("orders", "cancel", nobody)).toMatchObject({ exit: 2, code: "USAGE" });
  });

  it("exports orders, none of them a formula", async () => {
    const name = '=HYPERLINK("http://x","티셔츠, 검정")';
    const sale = await shop.openSale({ stock: 5_000 });
    await pool.query("UPDATE products SET name = $2 WHERE id = $1", [sale.productId, name]);
    await shop.engine.catalogue.refresh();
    const ids = (await Promise.all(Array.from({ length: 1_200 }, () => shop.place(sale)))).map(
      ({ orderId }) => orderId,
    );
    await Promise.all([...ids.slice(0, 3), ...ids.slice(-3)].map(persist));
    await vi.waitFor(
      async () => {
        const rows = await pool.query("SELECT count(*)::int AS n FROM orders WHERE sale_id = $1", [sale.saleId]);
        expect(rows.rows[0]).toMatchObject({ n: ids.length });
      },
      { timeout: 20_000 },
    );
    const csv = await onrush("orders", "export", "--sale", sale.saleId, "--excel");
    expect(csv.code).toBe(0);
    expect(csv.out.startsWith("\ufeffid,saleId,")).toBe(true);
    const rows = parse(csv.out, { bom: true, columns: true }) as Record<string, string>[];
    expect(rows.map(({ id }) => id)).toEqual([...ids].sort());
    expect(rows[0]).toMatchObject({ status: "RESERVED", price: "5000", units: "1", items: `'${name} x1` });

    const lines = (await onrush("orders", "export", "--sale", sale.saleId, "--format", "jsonl")).out
      .trimEnd()
      .split("\n");
    expect(lines).toHaveLength(ids.length);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ items: [{ name, quantity: 1 }] });
    expect(await json("orders", "export", "--sale", sale.saleId)).toHaveLength(ids.length);
    expect(await json("orders", "export", "--status", "CONFIRMED")).toEqual([]);
    expect(await json("orders", "export", "--until", "2020-01-01T00:00:00+09:00")).toEqual([]);

    const out = path.join(folder, "orders.csv");
    const written = await json("orders", "export", "--sale", sale.saleId, "--since", "2020-01-01", "--out", out);
    expect(written).toEqual({ orders: ids.length, file: out });
    expect(readFileSync(out, "utf8").split("\r\n")).toHaveLength(ids.length + 2);
    expect(statSync(out).mode & 0o077).toBe(0);
    expect(await failure("orders", "export", "--out", out)).toMatchObject({ exit: 1 }); // it never writes over a file
    for (const wrong of [
      ["--status", "DONE"],
      ["--since", "yesterday"],
      ["--format", "xml"],
    ]) {
      expect(await failure("orders", "export", ...wrong)).toMatchObject({ exit: 2, code: "USAGE" });
    }
  });

  it("says that an order was packed, shipped, delivered", async () => {
    const { orderId } = await shop.place(await shop.openSale({ stock: 5 }));
    const fulfil = ["orders", "fulfil", orderId, "--yes"];
    await persist(orderId);
    expect(await failure(...fulfil, "--state", "packed")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    await pool.query("UPDATE orders SET status = 'CONFIRMED' WHERE id = $1", [orderId]);
    const changes: unknown[] = [];
    const subscriber = subscriberConnection(shop.servers.redisUrl);
    subscriber.on("message", (_channel, text: string) => changes.push(...JSON.parse(text)));
    await connect(subscriber);
    await subscriber.subscribe(CHANNELS.orders);
    const shipped = ["--state", "shipped", "--reference", "6012-3456"];
    const said = await onrush(...fulfil, ...shipped, "--reason", "택배");
    expect([said.code, said.out]).toEqual([0, "The order was shipped (6012-3456).\n"]);
    await vi.waitFor(() => expect(changes).toEqual([{ id: orderId, version: 3, status: "CONFIRMED" }]));
    subscriber.disconnect();
    expect((await onrush(...fulfil, ...shipped)).out).toBe(
      "The order was shipped (6012-3456) before; nothing changed.\n",
    );
    expect(await json(...fulfil, "--state", "delivered")).toMatchObject({
      status: "CONFIRMED",
      version: 4,
      fulfilment: { state: "delivered", reference: null },
    });
    expect(await failure(...fulfil, ...shipped)).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect(await trail(`order:${orderId}`)).toMatchObject([
      { action: "order.fulfil", after: { fulfilment: { state: "delivered" } } },
      { action: "order.fulfil", after: { version: 3 }, reason: "택배" },
    ]);
    const { out } = await onrush("orders", "show", orderId);
    expect(out).toMatch(/^fulfilment +delivered, \d{4}-/m);
    expect(out).toMatch(/^ +3 +CONFIRMED, shipped \(6012-3456\) +\d{4}-/m);
    expect((await onrush("orders", "explain", orderId)).out).toMatch(/^CONFIRMED .* shipped \(6012-3456\)$/m);
    expect(await json("orders", "export", "--fulfilment", "delivered")).toMatchObject([{ id: orderId }]);
    const nobody = "6920a1b2-0000-8100-8000-000000000000";
    const state = ["--state", "packed"];
    expect(await failure("orders", "fulfil", nobody, ...state, "--yes")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    for (const wrong of [
      ["x", ...state, "--yes"],
      [orderId, "--yes"],
      [orderId, "--state", "lost", "--yes"],
      [orderId, ...state, "--reference", "", "--yes"],
      [orderId, ...state],
    ]) {
      expect(await failure("orders", "fulfil", ...wrong)).toMatchObject({ exit: 2, code: "USAGE" });
    }
  });
});

describe("onrush jobs", () => {
  it("lists the queues, and lets failed jobs run again", async () => {
    const outbox = await openOutbox(shop.servers.databaseUrl, () => undefined);
    const client = await pool.connect();
    try {
      for (let i = 0; i < 3; i += 1) await outbox.enqueue(client, "settlement", [randomUUID()]);
    } finally {
      client.release();
      await outbox.close();
    }
    const failed = await pool.query<{ id: string }>(
      `UPDATE pgboss.job SET state = 'failed', output = '{"message":"no answer"}', completed_on = now()
       WHERE name = 'settlement' RETURNING id`,
    );
    const [first = "", second = ""] = failed.rows.map(({ id }) => id);
    const list = await onrush("jobs", "list");
    expect(list.code).toBe(1);
    expect(list.out).toMatch(/^settlement +0 +0 +3/m);
    expect(list.out).toMatch(new RegExp(`^${first} +settlement +.* no answer$`, "m"));
    expect(await json("jobs", "list", "--queue", "payment")).toMatchObject({
      queues: [{ queue: "payment" }],
      jobs: [],
    });

    expect(await json("jobs", "retry", first, "--yes")).toEqual({ retried: [first] });
    expect(await failure("jobs", "retry", first, "--yes")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    expect((await onrush("jobs", "retry", "--all", "--queue", "settlement", "--yes")).out).toBe(
      "2 job(s) run again.\n",
    );
    expect((await onrush("jobs", "list")).out).toContain("No job is failed.");
    const [last] = await trail("queue:settlement");
    expect(last?.after).toMatchObject({ jobs: expect.arrayContaining([second]) });
    for (const wrong of [[], ["x"], [first, "--all"], ["--all", "--queue", "none"]]) {
      expect(await failure("jobs", "retry", ...wrong, "--yes")).toMatchObject({ exit: 2, code: "USAGE" });
    }
    expect(await failure("jobs", "retry", "--all")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await failure("jobs", "list", "--state", "broken")).toMatchObject({ exit: 2, code: "USAGE" });
  });
});

describe("onrush users", () => {
  it("lists accounts, and gives and takes roles", async () => {
    const user = (email: string, name: string) =>
      createUser(pool, { id: makeCustomerId(), email, name, passwordHash: "x" });
    const kim = await user("kim@example.com", "김하나");
    await user("lee@example.com", "이둘");
    const list = await onrush("users", "list");
    expect(list.out).toMatch(/^id +e-mail +name +roles$/m);
    expect(list.out).toMatch(new RegExp(`^${kim?.id} +kim@example\\.com +김하나 +customer$`, "m"));
    const granted = await json("users", "grant", "KIM@example.com", "admin", "--yes", "--reason", "팀");
    expect(granted).toMatchObject({ email: "kim@example.com", roles: ["customer", "admin"] });
    expect(await json("users", "list", "--role", "admin")).toMatchObject([{ email: "kim@example.com" }]);
    expect(await json("users", "list", "--query", "둘")).toMatchObject([{ email: "lee@example.com" }]);
    expect(await failure("users", "revoke", kim?.id ?? "", "admin", "--yes")).toMatchObject({
      exit: 1,
      code: "INVALID_STATE",
      message: "This is the last administrator.",
    });
    await json("users", "grant", "lee@example.com", "admin", "--yes");
    expect(await json("users", "revoke", kim?.id ?? "", "admin", "--yes")).toMatchObject({ roles: ["customer"] });
    expect(await trail(`user:${kim?.id}`)).toMatchObject([
      { action: "user.revoke", before: { roles: ["customer", "admin"] }, after: { roles: ["customer"] } },
      { action: "user.grant", reason: "팀" },
    ]);
    expect(await failure("users", "grant", "nobody@example.com", "admin", "--yes")).toMatchObject({
      exit: 1,
      code: "NOT_FOUND",
    });
    expect(await failure("users", "grant", "lee@example.com", "king", "--yes")).toMatchObject({
      exit: 2,
      code: "USAGE",
    });
    expect(await failure("users", "grant", "lee@example.com", "support")).toMatchObject({ exit: 2, code: "USAGE" });
    expect((await onrush("users", "list", "--query", "nobody")).out).toBe("There is no such account.\n");
  });

  it("erases a member's personal data, on record, and never the last administrator's", async () => {
    const id = makeCustomerId();
    await createUser(pool, { id, email: "choi@example.com", name: "최셋", passwordHash: "x" });
    expect(await failure("users", "erase", "choi@example.com")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await json("users", "erase", "Choi@example.com", "--yes", "--reason", "요청")).toEqual({ id, erased: true });
    expect(await json("users", "list", "--query", "choi")).toEqual([]);
    expect(await trail(`user:${id}`)).toMatchObject([{ action: "user.erase", reason: "요청" }]);
    expect(await failure("users", "erase", id, "--yes")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    expect(await json("users", "list", "--role", "admin")).toMatchObject([{ email: "lee@example.com" }]);
    expect(await failure("users", "erase", "lee@example.com", "--yes")).toMatchObject({
      exit: 1,
      code: "INVALID_STATE",
      message: "This is the last administrator.",
    });
  });
});

describe("onrush status", () => {
  it("is well when nothing is wrong, and says what is", async () => {
    const running = await Promise.all(
      (["api", "persister", "worker"] as const).map((role) =>
        registerInstance({
          role,
          db: pool,
          log: createLogger("test", "silent"),
          health: async () => ({ ready: true, checks: {} }),
          work: () => ({}),
        }),
      ),
    );
    try {
      const sale = await shop.openSale({ stock: 3 });
      const { orderId } = await shop.place(sale);
      await persist(orderId);
      const well = await onrush("status");
      expect(well).toMatchObject({ code: 0, out: expect.stringContaining("All is well.") });
      expect(well.out).toMatch(new RegExp(`^${sale.saleId}\\.0 +open +live +0 +0 +0$`, "m"));
      expect(await json("status")).toMatchObject({ findings: [], openDeadLetters: 0, servers: { redis: {} } });

      await shop.redis.hincrby(`onrush:{${sale.saleId}.0}:stock`, `${sale.productId}|a`, 2);
      await pool.query(
        `INSERT INTO dead_letters (sale_id, partition, epoch, seq, kind, payload, error)
         VALUES ($1, 0, 1, 99, 'place', 'x', 'test')`,
        [sale.saleId],
      );
      await running.at(-1)?.stop();
      const { code, out } = await onrush("status", "--json");
      expect(code).toBe(1);
      expect(JSON.parse(out)).toMatchObject({
        openDeadLetters: 1,
        findings: expect.arrayContaining([
          `${sale.saleId}.0: Redis and the ledger differ by 2 units.`,
          "1 dead letter(s) wait for a decision.",
          "No worker runs.",
        ]),
      });
    } finally {
      await Promise.all(running.map((one) => one.stop()));
    }
  });
});

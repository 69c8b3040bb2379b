// The demo as a visitor runs it: undisturbed on an instance of its own, then on one instance with each of its processes
// killed in the middle of the rush. Whatever dies, the demo must end with a valid proof.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startOwnShop } from "../../demo/instance/own.ts";
import type { Shop } from "../../demo/instance/shop.ts";
import { proveSale } from "../../demo/proof/proof.ts";
import { VALID } from "../../demo/show.ts";
import { partitionKeys } from "../../engine/keys.ts";
import { openPool } from "../../engine/ledger/database.ts";
import { identify } from "../../engine/process-identity.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { scratchFolder } from "../support/scratch.ts";

const ENTRY = fileURLToPath(new URL("../../demo/main.ts", import.meta.url));
const SEED = 20261120;
const CROWD = `--buyers 300 --units 30 --decline 0.2 --slow 0 --seed ${SEED} --opens-in 1`.split(" ");
/** Orders that stand when the victim is killed: the rush is on, and payments are under way. */
const KILL_AFTER_ORDERS = 8;
const DEMO_TIMEOUT_MS = 120_000;
const POOL = { connectionsMax: 1, applicationName: "onrush-test", statementTimeoutMs: 10_000 };
const SOME_ORDER = "(SELECT max(id::text)::uuid FROM orders WHERE sale_id = $1 AND status = 'CONFIRMED')";

describe("npm run demo", () => {
  it(
    "holds a whole sale on an instance of its own, and leaves nothing behind",
    async () => {
      const temporary = scratchFolder("demo");
      const demo = runDemo(CROWD, { TMPDIR: temporary });
      expect(await demo.exitCode, demo.output()).toBe(0);

      expect(demo.output()).toContain(`seed ${SEED}`);
      expect(demo.output()).toMatch(/Redis +30 +0 +0 +30\n +Postgres +30 +0 +0 +30\n/);
      expect(demo.output()).toMatch(/compensated +[1-9]\d* +PAYMENT_DECLINED/);
      expect(demo.output()).toMatch(/resold +[1-9]/);
      expect(demo.output()).toMatch(/replayed +[1-9]/);
      expect(demo.output()).not.toContain("✗");
      expect(demo.output().trimEnd().endsWith(VALID)).toBe(true);
      expect(demo.output(), "plain in a pipe").not.toContain("\u001b");
      expect(readdirSync(temporary)).toEqual([]);
      rmSync(temporary, { recursive: true });
    },
    DEMO_TIMEOUT_MS,
  );

  it("explains itself, and refuses what it cannot do", async () => {
    const help = runDemo(["--help"]);
    expect(await help.exitCode).toBe(0);
    expect(help.output()).toContain("npm run demo -- --seed 7");
    const wrong = runDemo(["--buyers", "0"]);
    expect(await wrong.exitCode).toBe(2);
    expect(wrong.output()).toContain("whole number from 1 to 20000");
  });
});

describe("on an instance that is hit in the middle of the rush", () => {
  let shop: Shop;

  beforeAll(async () => {
    shop = await startOwnShop({ perSecond: 10_000 }, AbortSignal.timeout(DEMO_TIMEOUT_MS));
  }, DEMO_TIMEOUT_MS);
  afterAll(async () => {
    await shop?.close({ keepFolder: false });
  });

  it.each(["api", "persister", "worker", "gateway", "redis", "postgres"])(
    "kill -9 of the %s: the proof is valid",
    async (victim) => {
      const pid = shop.pids()[victim] ?? 0;
      expect(identify(pid), `there is a ${victim}`).toBeDefined();

      const demo = runDemo([...CROWD, "--url", new URL(shop.apiUrl).origin], {
        DATA_DIR: shop.folder,
        ADMIN_PASSWORD: shop.admin.password,
      });
      const saleId = await demo.until(/\(sale ([0-9a-f-]{36})\)/);
      await untilAccepted(shop.redisUrl, saleId, KILL_AFTER_ORDERS);
      process.kill(pid, "SIGKILL");

      expect(await demo.exitCode, demo.output()).toBe(0);
      expect(demo.output()).toContain(VALID);
      expect(identify(pid), `the ${victim} died`).toBeUndefined();
      const successor = shop.pids()[victim] ?? 0;
      expect(successor).not.toBe(pid);
      expect(identify(successor), `the ${victim} was started again`).toBeDefined();
    },
    DEMO_TIMEOUT_MS,
  );

  // Each change breaks one promise in the books of the last sale ($1), and is undone afterwards.
  it.each<[broken: string, change: string, undo: string]>([
    [
      "Nothing is oversold",
      "UPDATE stock SET sold = sold - 1 WHERE sale_id = $1",
      "UPDATE stock SET sold = sold + 1 WHERE sale_id = $1",
    ],
    [
      "Redis and Postgres agree on every product",
      "UPDATE stock SET sold = sold - 1 WHERE sale_id = $1",
      "UPDATE stock SET sold = sold + 1 WHERE sale_id = $1",
    ],
    [
      "Every unit is accounted for",
      "UPDATE stock SET allocated = allocated + 1 WHERE sale_id = $1",
      "UPDATE stock SET allocated = allocated - 1 WHERE sale_id = $1",
    ],
    [
      "No acknowledged order is lost",
      `UPDATE orders SET sale_id = 'lost of ' || left(sale_id, 8) WHERE id = ${SOME_ORDER}`,
      "UPDATE orders SET sale_id = $1 WHERE sale_id = 'lost of ' || left($1, 8)",
    ],
    [
      "No order that nobody was told of",
      `INSERT INTO orders SELECT (r).* FROM (SELECT jsonb_populate_record(o, jsonb_build_object('id', gen_random_uuid(),
         'idempotency_scope', 'untold')) AS r FROM orders o WHERE id = ${SOME_ORDER})`,
      "DELETE FROM orders WHERE sale_id = $1 AND idempotency_scope = 'untold'",
    ],
    [
      "Every order is at an end",
      `UPDATE orders SET status = 'PAYING' WHERE id = ${SOME_ORDER}`,
      "UPDATE orders SET status = 'CONFIRMED' WHERE sale_id = $1 AND status = 'PAYING'",
    ],
    [
      "Captured money is what confirmed orders owe",
      `UPDATE simulated_gateway.charges SET amount = amount + 1 WHERE key = ${SOME_ORDER} || ':1'`,
      `UPDATE simulated_gateway.charges SET amount = amount - 1 WHERE key = ${SOME_ORDER} || ':1'`,
    ],
    [
      "Nothing is charged twice, nor for nothing",
      `INSERT INTO simulated_gateway.charges (key, amount, currency, token, ends_as, outcome, ended_at, reference)
       VALUES (${SOME_ORDER} || ':9', 0, 'KRW', 'tok_ok', 'succeeded', 'succeeded', now(), 'twice')`,
      `DELETE FROM simulated_gateway.charges WHERE key = ${SOME_ORDER} || ':9'`,
    ],
    [
      "The movement log has no gap",
      "UPDATE stock_movements SET epoch = 99 WHERE sale_id = $1 AND seq = 2",
      "UPDATE stock_movements SET epoch = 1 WHERE sale_id = $1 AND epoch = 99",
    ],
    [
      "The ledger's own guard had nothing to refuse",
      "UPDATE stock_movements SET refused = 1 WHERE sale_id = $1 AND seq = 2",
      "UPDATE stock_movements SET refused = 0 WHERE sale_id = $1 AND seq = 2",
    ],
    [
      "Nobody is above the limit per customer",
      "UPDATE sale_items SET per_customer_limit = 1 WHERE sale_id = $1",
      "UPDATE sale_items SET per_customer_limit = 2 WHERE sale_id = $1",
    ],
    [
      "One order per idempotency key",
      `UPDATE orders SET payload_hash = idempotency_scope, idempotency_scope =
         (SELECT min(idempotency_scope) FROM orders WHERE sale_id = $1 AND id <> ${SOME_ORDER}) WHERE id = ${SOME_ORDER}`,
      `UPDATE orders SET idempotency_scope = payload_hash WHERE id = ${SOME_ORDER}`,
    ],
    [
      "Every timeline is complete, no dead letters",
      `UPDATE orders SET version = version + 1 WHERE id = ${SOME_ORDER}`,
      `UPDATE orders SET version = version - 1 WHERE id = ${SOME_ORDER}`,
    ],
  ])("the proof notices when this is broken: %s", async (claim, change, undo) => {
    const pool = openPool(shop.databaseUrl, POOL, () => undefined);
    const redis = new Redis(shop.redisUrl);
    redis.on("error", () => undefined);
    try {
      const saleId = (await pool.query("SELECT id FROM sales ORDER BY no DESC LIMIT 1")).rows[0].id as string;
      const orders = await pool.query("SELECT id FROM orders WHERE sale_id = $1", [saleId]);
      const acknowledged = orders.rows.map((row) => row.id as string);
      const stock = new PartitionStock(redis, new KnownPositions());
      const prove = () => proveSale({ pool, stock, saleId, acknowledged, unansweredMax: 0 });

      expect((await prove()).valid).toBe(true);
      await pool.query(change, [saleId]);
      const proof = await prove().finally(() => pool.query(undo, [saleId]));
      expect(proof.valid).toBe(false);
      expect(proof.checks.filter((check) => !check.holds).map((check) => check.claim)).toContain(claim);
      expect((await prove()).valid).toBe(true);
    } finally {
      redis.disconnect();
      await pool.end();
    }
  });
});

/** Watches the partition's reservation number: the demo's own progress is drawn too seldom to hit the rush. */
async function untilAccepted(redisUrl: string, saleId: string, orders: number): Promise<void> {
  const redis = new Redis(redisUrl);
  redis.on("error", () => undefined);
  const { meta } = partitionKeys({ saleId, partition: 0 });
  try {
    while (Number(await redis.hget(meta, "reservation")) < orders) await sleep(2);
  } finally {
    redis.disconnect();
  }
}

interface DemoProcess {
  output(): string;
  /** Resolves to the first group of the first match in the output. */
  until(pattern: RegExp): Promise<string>;
  readonly exitCode: Promise<number | null>;
}

function runDemo(args: readonly string[], env: Record<string, string> = {}): DemoProcess {
  const child: ChildProcess = spawn(process.execPath, [ENTRY, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], ...env },
  });
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const exitCode = once(child, "close").then(([code]) => code as number | null);
  return {
    output: () => text,
    async until(pattern) {
      while (child.exitCode === null) {
        const found = pattern.exec(text)?.[1];
        if (found !== undefined) return found;
        await sleep(10);
      }
      throw new Error(`It ended without saying ${pattern}:\n${text}`);
    },
    exitCode,
  };
}

// The API as a process of its own, in the modes that wait: that main.ts wires what they need, and lets go of it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterEach, expect, it, vi } from "vitest";
import { startPersister } from "../support/assembly.ts";
import { type AnswerBody, JWT_SECRET, openApiShop, RECEIPT_SECRET } from "./api-shop.ts";

const MAIN = fileURLToPath(new URL("../../api/main.ts", import.meta.url));

const shop = await openApiShop();
const { saleId, productId } = await shop.sale({ stock: 1_000 });
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

async function startApi(env: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      PATH: process.env["PATH"],
      PORT: "0",
      REDIS_URL: shop.redis.urlOf("onrush_api"),
      DATABASE_URL: shop.databaseUrl,
      JWT_SECRET,
      RECEIPT_SECRET,
      GUEST_ORDERS: "on",
      ...env,
    },
  });
  children.push(child);
  const [ready] = (await once(child, "message")) as [{ url: string }];
  const order = async () => {
    const answer = await fetch(`${ready.url}/api/v1/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ saleId, items: [{ productId, quantity: 1 }], payment: { method: "later" } }),
    });
    const body = (await answer.json()) as AnswerBody & { acknowledged: string };
    return { http: answer.status, status: body.status, acknowledged: body.acknowledged };
  };
  return { child, order, url: ready.url };
}

it("postgres: hears of the commit and answers 201", async () => {
  const { order } = await startApi({ ACK_MODE: "postgres", POSTGRES_WAIT_MS: "20000" });
  const persister = await startPersister({ databaseUrl: shop.databaseUrl, redisUrl: shop.redis.url });
  expect(await Promise.all(Array.from({ length: 20 }, order))).toEqual(
    Array.from({ length: 20 }, () => ({ http: 201, status: "RESERVED", acknowledged: "postgres" })),
  );
  await persister.stop();
});

it("postgres: on SIGTERM answers those who wait with what is known, and ends", async () => {
  const { child, order } = await startApi({ ACK_MODE: "postgres", POSTGRES_WAIT_MS: "30000" });
  const exited = once(child, "exit");
  const admin = new Redis(shop.redis.url);
  const held = () => admin.hlen(`onrush:{${saleId}.0}:held`);
  const before = await held();
  const waiting = order();
  await vi.waitFor(async () => expect(await held()).toBe(before + 1), { timeout: 10_000, interval: 10 });
  admin.disconnect();
  child.kill("SIGTERM");
  expect(await waiting).toEqual({ http: 202, status: "PENDING", acknowledged: "fsync" });
  expect(await exited).toEqual([0, null]);
});

it("replicated: without a replica accepts, says fsync, and keeps the rest of the API off the waiting connection", async () => {
  const { child, order, url } = await startApi({ ACK_MODE: "replicated", REPLICATION_WAIT_MS: "1500" });
  const waiting = order();
  const answeredFirst = await Promise.race([waiting, sleep(300).then(() => fetch(`${url}/readyz`))]);
  expect(answeredFirst).toMatchObject({ status: 200 });
  expect(await waiting).toEqual({ http: 202, status: "PENDING", acknowledged: "fsync" });
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});

// What a killed process held is taken over by its successor on the same machine at once, and never from one that is frozen.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { startPayments } from "../../engine/ledger/payments.ts";
import { holderName, isGone } from "../../engine/process-identity.ts";
import { insertPing, takeDue } from "../../engine/webhooks/deliveries.ts";
import { createWebhookEndpoint } from "../../engine/webhooks/operations.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { startWorker } from "../../persister/jobs/worker.ts";
import { holdLease } from "../../persister/lease.ts";
import { openShop, silent } from "./jobs-shop.ts";
import { startWebhookReceiver, verified } from "./webhook-receiver.ts";

/** Far longer than a test waits. */
const LEASE_MS = 600_000;
const MODULE = fileURLToPath(new URL("../../engine/process-identity.ts", import.meta.url));
const shop = await openShop();
const receiver = await startWebhookReceiver();
const at = { saleId: shop.saleId, partition: 0 };

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** A process of its own, and the name under which it would hold things. */
async function startHolder(): Promise<{ name: string; child: ChildProcess; kill(): Promise<void> }> {
  const code = `import(${JSON.stringify(MODULE)}).then((m) => { process.send(m.holderName()); setInterval(() => {}, 1000); })`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  children.push(child);
  const [name] = (await once(child, "message")) as [string];
  return {
    name,
    child,
    kill: async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

describe("a holder", () => {
  it("is gone when its process has ended, and not while that is frozen", async () => {
    const holder = await startHolder();
    expect(isGone(holder.name)).toBe(false);
    holder.child.kill("SIGSTOP");
    expect(isGone(holder.name)).toBe(false);
    await holder.kill();
    expect(isGone(holder.name)).toBe(true);
  });

  it("is gone when another process has its number by now", () => {
    const [version, namespace, pid, startedAt, uuid] = holderName().split(" ");
    expect(isGone([version, namespace, pid, startedAt, uuid].join(" "))).toBe(false);
    expect(isGone([version, namespace, pid, `${startedAt}0`, uuid].join(" "))).toBe(true);
  });

  it("of another machine or container, and of no known form, is never found to be gone", async () => {
    const holder = await startHolder();
    await holder.kill();
    const [version, , pid, startedAt = "", uuid] = holder.name.split(" ");
    expect(isGone([version, "pid:[1]", pid, startedAt, uuid].join(" "))).toBe(false);
    const elsewhere = startedAt.replace(/^[^/]+/, "00000000-0000-4000-8000-000000000000");
    expect(isGone([version, holder.name.split(" ")[1], pid, elsewhere, uuid].join(" "))).toBe(false);
    for (const name of ["", "1", "p1 - - - x", "3f0c1e52-6f0e-4f5e-9f4e-0d9f6d2f7c11"])
      expect(isGone(name)).toBe(false);
  });
});

it("a partition's lease is taken from a dead holder at once, and not from a frozen one", async () => {
  const holder = await startHolder();
  expect(await holdLease(shop.redis, at, holder.name, LEASE_MS)).toBe(true);
  holder.child.kill("SIGSTOP");
  const successor = holderName();
  expect(await holdLease(shop.redis, at, successor, LEASE_MS)).toBe(false);
  await holder.kill();
  expect(await holdLease(shop.redis, at, successor, LEASE_MS)).toBe(true);
  expect(await holdLease(shop.redis, at, holderName(), LEASE_MS)).toBe(false);
});

it("a dead worker's payment is taken over at once, a living one's is left alone, and each is charged once", async () => {
  const [dead, living] = await Promise.all([startHolder(), startHolder()]);
  const [abandoned = "", busy = ""] = await shop.reserve(2);
  await startPayments(shop.pool, [abandoned], LEASE_MS, dead.name);
  await startPayments(shop.pool, [busy], LEASE_MS, living.name);
  await dead.kill();
  const gatewayPool = openPool(
    shop.databaseUrl,
    { connectionsMax: 2, applicationName: "provider", statementTimeoutMs: 5_000 },
    () => undefined,
  );
  const { databaseUrl, redisUrl } = shop;
  const gateway = openSimulatedGateway(gatewayPool);
  const worker = await startWorker({ databaseUrl, redisUrl, gateway, log: silent, timing: { sweepIntervalMs: 50 } });
  await vi.waitFor(async () => expect(await shop.stateOf(abandoned)).toMatchObject({ status: "PAID", attempts: 1 }), {
    timeout: 20_000,
    interval: 20,
  });
  expect(await shop.books([abandoned])).toEqual([{ key: `${abandoned}:1`, outcome: "succeeded", calls: 1 }]);
  expect(await shop.stateOf(busy)).toMatchObject({ status: "PAYING" });
  expect(await shop.books([busy])).toEqual([]);
  await worker.stop();
});

it("a dead worker's webhook is sent again at once, a living one's is left alone", async () => {
  const [dead, living] = await Promise.all([startHolder(), startHolder()]);
  const by = { actor: "cli:test", allowPrivate: true };
  const { id, secret } = await createWebhookEndpoint(shop.pool, { url: receiver.url }, by);
  const take = async (takenBy: string) => {
    const { eventId } = await insertPing(shop.pool, id, "ping");
    expect(await takeDue(shop.pool, id, { leaseMs: LEASE_MS, limit: 16, takenBy })).toMatchObject([{ eventId }]);
    return eventId;
  };
  const abandoned = await take(dead.name);
  const busy = await take(living.name);
  await dead.kill();
  const { databaseUrl, redisUrl } = shop;
  const options = { connectionsMax: 2, applicationName: "provider", statementTimeoutMs: 5_000 };
  const gateway = openSimulatedGateway(openPool(databaseUrl, options, () => undefined));
  const webhooks = { allowPrivate: true };
  const worker = await startWorker({
    ...{ databaseUrl, redisUrl, gateway, webhooks, log: silent },
    timing: { sweepIntervalMs: 50 },
  });
  await vi.waitFor(() => expect([...receiver.taken().keys()]).toEqual([abandoned]), { timeout: 20_000, interval: 20 });
  const [one] = receiver.taken().values();
  expect(one && verified(secret, one).type).toBe("ping");
  await vi.waitFor(async () => {
    const rows = await shop.pool.query(
      "SELECT event_id, state, tries, taken, taken_by FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY id",
      [id],
    );
    expect(rows.rows).toEqual([
      { event_id: abandoned, state: "delivered", tries: 2, taken: false, taken_by: null },
      { event_id: busy, state: "pending", tries: 1, taken: true, taken_by: living.name },
    ]);
  });
  await worker.stop();
});

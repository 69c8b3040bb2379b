// `onrush webhook`, by the real binary, beside a worker and a receiver's real process.
import { afterAll, expect, test, vi } from "vitest";
import { startTestWorker } from "../support/assembly.ts";
import { openCliShop, runCli } from "./cli-shop.ts";
import { startWebhookReceiver, verified } from "./webhook-receiver.ts";

vi.setConfig({ testTimeout: 180_000 });
const shop = await openCliShop();
const receiver = await startWebhookReceiver();
const timing = { sweepIntervalMs: 100, webhook: { retryDelayMs: 10, holdMs: 10, holdMsMax: 50, giveUpAfterMs: 50 } };
const worker = await startTestWorker(shop.servers, timing, { webhooks: { allowPrivate: true } });
afterAll(() => worker.stop());

const env = {
  REDIS_URL: shop.servers.redisUrl,
  DATABASE_URL: shop.servers.databaseUrl,
  WEBHOOK_ALLOW_PRIVATE: "true",
};
const onrush = (...args: string[]) => runCli(["webhook", ...args], env);
async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse((await onrush(...args, "--json")).out) as T;
}

interface Made {
  readonly id: string;
  readonly secret: string;
}

test("an endpoint's life: made, tried, its secret replaced, changed, deleted", async () => {
  const { id, secret } = await json<Made>("create", receiver.url, "--event", "order.confirmed", "--yes");
  const list = await onrush("list");
  expect([list.code, list.out]).toEqual([
    0,
    expect.stringMatching(new RegExp(`${id} +${receiver.url} +enabled +confirmed`)),
  ]);
  expect(list.out).not.toContain("whsec_");

  const ping = await json<{ eventId: string }>("test", id);
  expect(ping).toMatchObject({ type: "ping", state: "delivered", tries: 1, lastStatus: 204 });
  const one = receiver.taken().get(ping.eventId);
  expect(one && verified(secret, one)).toMatchObject({ type: "ping" });

  const rotated = await onrush("rotate", id, "--yes");
  expect([rotated.code, rotated.out]).toEqual([0, expect.stringMatching(/secret +whsec_\S+ +\(not shown again\)/)]);
  expect(rotated.out).not.toContain(secret);

  const changed = await json("update", id, "--disable", "--event", "order.accepted", "--yes", "--reason", "moving");
  expect(changed).toMatchObject({ enabled: false, disabledBy: "operator", events: ["order.accepted"] });
  expect(JSON.parse((await onrush("test", id, "--json")).err)).toMatchObject({ error: { code: "INVALID_STATE" } });
  expect(await json("update", id, "--enable", "--yes")).toMatchObject({ enabled: true });
  expect((await onrush("delete", id, "--yes")).out).toBe(`${id} is deleted.\n`);
  expect(JSON.parse((await onrush("deliveries", id, "--json")).err)).toMatchObject({ error: { code: "NOT_FOUND" } });
  const audit = await shop.json<{ action: string }[]>("audit", "list", "--subject", `webhook-endpoint:${id}`);
  expect(audit.map(({ action }) => action.replace("webhook_endpoint.", ""))).toEqual([
    "delete",
    "update",
    "update",
    "rotate",
    "test",
    "create",
  ]);
  expect(JSON.stringify(audit)).not.toContain("whsec_");
});

test("what died is listed and goes again", async () => {
  const { id } = await json<Made>("create", receiver.url, "--yes");
  await receiver.answer(500);
  const failed = await onrush("test", id);
  expect([failed.code, failed.out]).toEqual([1, expect.stringContaining("ping")]);
  await vi.waitFor(
    async () => {
      const dead = await onrush("deliveries", id, "--state", "dead");
      expect([dead.code, dead.out]).toEqual([1, expect.stringMatching(/ping .*dead .* 500/)]);
    },
    { timeout: 60_000, interval: 200 },
  );
  expect((await onrush("list")).code).toBe(1); // it is failing
  await receiver.answer(204);
  expect((await json<{ replayed: number[] }>("replay", id, "--all", "--yes")).replayed).toHaveLength(1);
  await vi.waitFor(
    async () => {
      expect(await json("deliveries", id)).toMatchObject([{ type: "ping", state: "delivered" }]);
    },
    { timeout: 60_000, interval: 200 },
  );
  expect((await onrush("list")).code).toBe(0);
});

test("says what is wrong with how it was called", async () => {
  const wrong = [
    ["create"],
    ["create", "https://x.example", "--event", "order.lost", "--yes"],
    ["create", "ftp://x.example", "--yes"],
    ["create", "https://x.example"],
    ["update", "x", "--yes"],
    ["update", "x", "--enable", "--disable", "--yes"],
    ["replay", "x", "--yes"],
    ["replay", "x", "1", "--all", "--yes"],
    ["replay", "x", "one", "--yes"],
    ["deliveries", "x", "--state", "lost"],
  ];
  for (const args of wrong) expect([args, (await onrush(...args, "--json")).code]).toEqual([args, 2]);
  expect((await onrush("delete", "x", "--yes")).code).toBe(1);
  const { WEBHOOK_ALLOW_PRIVATE: _, ...strict } = env;
  const refused = await runCli(["webhook", "create", receiver.url, "--yes", "--json"], strict);
  expect([refused.code, JSON.parse(refused.err)]).toMatchObject([2, { error: { code: "VALIDATION" } }]);
});

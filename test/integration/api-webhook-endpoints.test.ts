// The routes of webhook endpoints: what they take, what they show, and what they refuse. No worker: nothing is sent.
import { describe, expect, it } from "vitest";
import { isWebhookSecret } from "../../engine/webhooks/signature.ts";
import { openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const PATH = "/api/v1/webhook-endpoints";
const URL = "https://shop.example/hooks";
const NOBODY = `${PATH}/whe_${"0".repeat(24)}`;

const call = (method: string, path: string, body?: unknown) =>
  shop.call(method, path, { token: shop.admin, ...(body !== undefined && { body }) });

async function made(body: object = { url: URL }): Promise<{ id: string; path: string; secret: string }> {
  const answer = await call("POST", PATH, body);
  expect(answer.status).toBe(201);
  const { id } = answer.body;
  expect(answer.headers.get("location")).toBe(`${PATH}/${id}`);
  return { id, path: `${PATH}/${id}`, secret: (answer.body as unknown as { secret: string }).secret };
}

describe("webhook endpoints", () => {
  it("are made with a secret that is shown once", async () => {
    const { id, path, secret } = await made({ url: URL, events: ["order.refunded", "order.accepted"] });
    expect(isWebhookSecret(secret)).toBe(true);
    const shown = await call("GET", path);
    expect(shown.body).toMatchObject({ id, url: URL, enabled: true, events: ["order.accepted", "order.refunded"] });
    const list = await call("GET", PATH);
    expect(list.body.items.map((item) => item.id)).toContain(id);
    const audit = await call("GET", `/api/v1/admin/audit?subject=webhook-endpoint:${id}`);
    for (const { text } of [shown, list, audit]) expect(text).not.toContain("whsec_");
    const rotated = await call("POST", `${path}/rotate-secret`);
    expect(rotated.status).toBe(200);
    expect((rotated.body as unknown as { secret: string }).secret).not.toBe(secret);
    expect((await call("GET", path)).text).not.toContain("whsec_");
  });

  it.each([
    ["http://shop.example/", "url"],
    ["https://127.0.0.1/", "url"],
    ["https://2130706433/", "url"],
    ["https://[::ffff:10.0.0.1]/", "url"],
    ["https://localhost/", "url"],
    ["https://u:p@shop.example/", "url"],
    ["file:///etc/passwd", "url"],
    ["x", "url"],
    ["", "url"],
    ["\0", "url"],
  ])("are not made at %j", async (url, path) => {
    const before = (await call("GET", PATH)).body.items.length;
    const answer = await call("POST", PATH, { url });
    expect([answer.status, answer.body.code, answer.body.errors[0]?.path]).toEqual([400, "VALIDATION", path]);
    expect((await call("GET", PATH)).body.items).toHaveLength(before);
  });

  it.each([
    { events: [] },
    { events: ["order.lost"] },
    { events: "order.accepted" },
    { events: [1] },
    { enabled: "no" },
  ])("are not changed by %j", async (change) => {
    const { path } = await made();
    expect(await call("PATCH", path, change)).toMatchObject({ status: 400, body: { code: "VALIDATION" } });
    expect(await call("PATCH", path, { url: "https://10.0.0.1/" })).toMatchObject({ status: 400 });
    expect((await call("GET", path)).body).toMatchObject({ url: URL, enabled: true });
  });

  it("are changed, disabled and enabled", async () => {
    const { path } = await made();
    const url = "https://shop.example/other?x=1";
    const off = await call("PATCH", path, { url, events: ["order.cancelled"], enabled: false });
    expect(off.body).toMatchObject({ url, events: ["order.cancelled"], enabled: false, disabledBy: "operator" });
    expect(await call("POST", `${path}/test`)).toMatchObject({ status: 409, body: { code: "INVALID_STATE" } });
    expect(await call("POST", `${path}/replay`)).toMatchObject({ status: 409, body: { code: "INVALID_STATE" } });
    expect((await call("PATCH", path, { enabled: true })).body).toMatchObject({ enabled: true, disabledBy: null, url });
    expect((await call("PATCH", path, {})).body).toMatchObject({ enabled: true, url });
  });

  it("list their deliveries by pages and states", async () => {
    const { id, path } = await made();
    for (let i = 0; i < 5; i += 1) expect((await call("POST", `${path}/test`)).status).toBe(202);
    const first = await call("GET", `${path}/deliveries?limit=3`);
    expect(first.body.items).toHaveLength(3);
    const second = await call("GET", `${path}/deliveries?limit=3&cursor=${first.body.nextCursor}`);
    const all = [...first.body.items, ...second.body.items] as unknown as { id: number; type: string; state: string }[];
    expect(all.map((item) => item.id)).toEqual(all.map((item) => item.id).toSorted((a, b) => b - a));
    expect(all).toHaveLength(5);
    expect(all[0]).toMatchObject({ type: "ping", state: "pending", tries: 0, lastStatus: null, orderTrackingId: null });
    expect(second.body.nextCursor).toBeUndefined();
    await shop.pool.query("UPDATE webhook_deliveries SET state = 'dead' WHERE endpoint_id = $1 AND id > $2", [
      id,
      all[2]?.id,
    ]);
    expect((await call("GET", `${path}/deliveries?state=dead`)).body.items).toHaveLength(2);
    const wanted = { deliveries: [all[0]?.id, all[4]?.id] };
    expect((await call("POST", `${path}/replay`, wanted)).body).toEqual({ replayed: [all[0]?.id] });
    expect(await call("POST", `${path}/replay`)).toMatchObject({ status: 202, body: { replayed: [all[1]?.id] } });
    for (const query of ["state=lost", "limit=0", "cursor=x", "cursor=W10"]) {
      expect(await call("GET", `${path}/deliveries?${query}`)).toMatchObject({ status: 400 });
    }
    expect(await call("POST", `${path}/replay`, { deliveries: [0] })).toMatchObject({ status: 400 });
  });

  it("are gone once they are deleted; strangers are 404", async () => {
    const { path } = await made();
    expect((await call("DELETE", path)).status).toBe(204);
    for (const at of [path, NOBODY, `${PATH}/x`, `${PATH}/%00`]) {
      const answers = await Promise.all([
        call("GET", at),
        call("PATCH", at, {}),
        call("DELETE", at),
        call("POST", `${at}/rotate-secret`),
        call("POST", `${at}/test`),
        call("GET", `${at}/deliveries`),
        call("POST", `${at}/replay`),
      ]);
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404));
    }
  });

  it("are at most a hundred, however many are made at once", async () => {
    await Promise.all(Array.from({ length: 110 }, () => call("POST", PATH, { url: URL })));
    expect((await call("GET", PATH)).body.items).toHaveLength(100);
    expect(await call("POST", PATH, { url: URL })).toMatchObject({ status: 409, body: { code: "INVALID_STATE" } });
  });
});

// The proof where people meet it: the commands of the CLI, and the endpoints of the API.
import { execFile } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { createApp } from "../../api/app.ts";
import { loadSigningKey } from "../../engine/proof/key.ts";
import { scratchFolder } from "../support/scratch.ts";
import { accessToken, callApp, openApiShop } from "./api-shop.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const shop = await openApiShop();
const folder = scratchFolder("proof-surfaces");
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);
const signed = createApp({ ...shop.deps, proofKey: loadSigningKey({ dataDir: folder }) });

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function onrush(args: string[], env: Record<string, string> = {}) {
  const places = { REDIS_URL: shop.redis.url, DATABASE_URL: shop.databaseUrl, DATA_DIR: folder };
  return new Promise<Run>((resolve) => {
    const all = { PATH: process.env["PATH"], ...places, ...env };
    execFile(process.execPath, [CLI, "stock", ...args], { env: all }, (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });
}

describe("onrush stock prove and verify", { timeout: 180_000 }, () => {
  it("make a proof, and verify it with nothing but the key", async () => {
    const { saleId } = await shop.sale({ stock: 10 });
    const made = await onrush(["prove", "--sale", saleId, "--out", file("a.json"), "--ledger", file("a.jsonl")]);
    expect(made).toMatchObject({ code: 0, out: expect.stringContaining("The proof holds.") });
    expect(statSync(file("proof-key.pem")).mode & 0o777).toBe(0o600);

    const offline = { REDIS_URL: "redis://127.0.0.1:1", DATABASE_URL: "postgres://127.0.0.1:1/none" };
    const verified = await onrush(["verify", file("a.json"), "--ledger", file("a.jsonl")], offline);
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining("The proof holds.") });

    writeFileSync(file("b.json"), readFileSync(file("a.json"), "utf8").replace('"sold":0', '"sold":1'));
    const altered = await onrush(["verify", file("b.json")], offline);
    expect(altered).toMatchObject({ code: 1, out: expect.stringContaining("NOT GENUINE") });
    const json = await onrush(["verify", file("b.json"), "--json"], offline);
    expect(JSON.parse(json.out)).toMatchObject({ holds: false, refused: expect.stringContaining("signature") });
  });

  it("write the bare proof to standard output, so that it can be piped", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    const { code, out, err } = await onrush(["prove", "--sale", saleId]);
    expect({ code, err }).toMatchObject({ code: 0, err: expect.stringContaining("The proof holds.") });
    writeFileSync(file("piped.json"), out);
    expect((await onrush(["verify", file("piped.json")])).code).toBe(0);
  });

  it("answer 1 for books that do not balance, and prove that too", async () => {
    const { saleId } = await shop.sale({ stock: 5 });
    await shop.pool.query("UPDATE stock SET allocated = allocated + 1 WHERE sale_id = $1", [saleId]);
    const made = await onrush(["prove", "--sale", saleId, "--out", file("c.json")]);
    expect(made).toMatchObject({ code: 1, out: expect.stringContaining("FAILS  allocated = initial") });
    expect(await onrush(["verify", file("c.json")])).toMatchObject({ code: 1 });
  });

  it("say in one line what they lack: 2 for bad usage, 1 for what cannot be done", async () => {
    expect(await onrush(["prove"])).toMatchObject({ code: 2 });
    expect(await onrush(["prove", "--sale", "nowhere"])).toMatchObject({ code: 1, err: "There is no sale nowhere.\n" });
    expect(await onrush(["verify", file("none.json")])).toMatchObject({ code: 1 });
    const keyless = await onrush(["verify", file("a.json")], { DATA_DIR: "/nonexistent" });
    expect(keyless).toMatchObject({ code: 1, err: expect.stringContaining("cannot be read") });
  });
});

describe("the API", { timeout: 180_000 }, () => {
  it("gives an administrator the proof and everybody its key, and both fit", async () => {
    const { saleId } = await shop.sale({ stock: 3 });
    const key = await callApp(signed, "GET", "/api/v1/proof-key");
    const proof = await callApp(signed, "GET", `/api/v1/admin/sales/${saleId}/proof`, { token: shop.admin });
    expect([key.status, proof.status]).toEqual([200, 200]);
    writeFileSync(file("key.json"), key.text);
    writeFileSync(file("d.json"), proof.text);
    const elsewhere = { DATA_DIR: "/nonexistent" };
    expect((await onrush(["verify", file("d.json"), "--key", file("key.json")], elsewhere)).code).toBe(0);
    const audited = await shop.pool.query("SELECT FROM audit_log WHERE action = 'stock.prove' AND subject = $1", [
      `sale:${saleId}`,
    ]);
    expect(audited.rowCount).toBe(1);
  });

  it("gives no proof to others, none of what is not, and none without a key", async () => {
    const { saleId } = await shop.sale({ stock: 3 });
    const at = `/api/v1/admin/sales/${saleId}/proof`;
    const token = await accessToken("cus_012345678901234567890123");
    expect((await callApp(signed, "GET", at)).status).toBe(401);
    expect((await callApp(signed, "GET", at, { token })).status).toBe(403);
    expect((await callApp(signed, "GET", "/api/v1/admin/sales/no/proof", { token: shop.admin })).status).toBe(404);
    expect((await shop.call("GET", at, { token: shop.admin })).status).toBe(404);
    expect((await shop.call("GET", "/api/v1/proof-key")).status).toBe(404);
  });
});

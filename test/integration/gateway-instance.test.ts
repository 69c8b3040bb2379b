// The provider as a part of an instance: started before the worker, started again where it was, and not where another one
// is named.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type ConfigError, loadConfig } from "../../engine/config.ts";
import { identify } from "../../engine/process-identity.ts";
import type { RuntimeFile } from "../../runtime/data-directory.ts";
import { type InstancePlace, instancePlace } from "../support/instance.ts";

const ENTRY = fileURLToPath(new URL("../../runtime/start.ts", import.meta.url));

async function startWorkerOnly(
  place: InstancePlace,
): Promise<{ said(text: string): Promise<void>; child: ChildProcess }> {
  const env = { PATH: process.env["PATH"], DATA_DIR: place.dataDir, ROLES: "worker", LOG_LEVEL: "error" };
  const child = spawn(process.execPath, [ENTRY], { detached: true, stdio: ["ignore", "pipe", "pipe"], env });
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  onTestFinished(async () => {
    const gone = once(child, "exit");
    if (child.kill("SIGTERM")) await gone;
    place.remove();
  });
  const said = (text: string) => vi.waitFor(() => expect(output).toContain(text), { timeout: 25_000, interval: 20 });
  await said("Ctrl-C stops everything");
  expect(output.indexOf("Starting gateway")).toBeLessThan(output.indexOf("Starting worker"));
  return { said, child };
}

test("the provider of an instance serves whoever has its key, and is back at its address after a kill", async () => {
  const place = await instancePlace();
  const { said } = await startWorkerOnly(place);
  const read = () => JSON.parse(readFileSync(path.join(place.dataDir, "runtime.json"), "utf8")) as RuntimeFile;
  const { paymentGateway, pids } = read();
  const { url = "", key = "" } = paymentGateway ?? {};
  const ledger = async (apiKey: string) =>
    (await fetch(`${url}/ledger`, { headers: { authorization: `Bearer ${apiKey}` } })).status;
  expect([await ledger(key), await ledger("another key")]).toEqual([200, 401]);

  process.kill(pids["gateway"] ?? 0, "SIGKILL");
  await said("gateway is back.");
  const after = read();
  expect(after.paymentGateway).toEqual(paymentGateway);
  expect(after.pids["gateway"]).not.toBe(pids["gateway"]);
  expect(identify(after.pids["worker"] ?? 0)).toEqual(identify(pids["worker"] ?? 0));
  expect(await ledger(key)).toBe(200);
});

describe("the configuration", () => {
  const problemsOf = (env: Record<string, string>): readonly string[] => {
    try {
      loadConfig(env);
      return [];
    } catch (error) {
      return (error as ConfigError).problems;
    }
  };
  const PAYMENT_GATEWAY_URL = "https://pay.example/v1";
  const PAYMENT_GATEWAY_KEY = "0123456789abcdef";

  test("of a provider elsewhere names its address and key, and says so with whatever else is wrong", () => {
    expect(problemsOf({ PAYMENT_GATEWAY: "http", PORT: "many" })).toEqual([
      expect.stringMatching(/^PORT: /),
      "PAYMENT_GATEWAY_URL: is required with PAYMENT_GATEWAY=http",
      "PAYMENT_GATEWAY_KEY: is required with PAYMENT_GATEWAY=http",
    ]);
    expect(problemsOf({ PAYMENT_GATEWAY_URL })).toEqual(["PAYMENT_GATEWAY_KEY: is required with PAYMENT_GATEWAY_URL"]);
    expect(problemsOf({ PAYMENT_GATEWAY_URL: "pay.example", PAYMENT_GATEWAY_KEY: "short" })).toHaveLength(2);
    expect(problemsOf({ PAYMENT_GATEWAY: "http", PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY })).toEqual([]);
  });

  test("of Stripe names its secret key, and an address only where it is not Stripe's", () => {
    expect(problemsOf({ PAYMENT_GATEWAY: "stripe" })).toEqual([
      "STRIPE_SECRET_KEY: is required with PAYMENT_GATEWAY=stripe",
    ]);
    const STRIPE_SECRET_KEY = "sk_test_0123456789abcdef";
    expect(problemsOf({ PAYMENT_GATEWAY: "stripe", STRIPE_SECRET_KEY })).toEqual([]);
    expect(problemsOf({ PAYMENT_GATEWAY: "stripe", STRIPE_SECRET_KEY, PAYMENT_GATEWAY_URL })).toEqual([]);
    expect(problemsOf({ PAYMENT_GATEWAY: "stripe", STRIPE_SECRET_KEY: "pk_test_0123456789abcdef" })).toHaveLength(1);
    const { paymentGatewayKey } = loadConfig({ PAYMENT_GATEWAY: "stripe", STRIPE_SECRET_KEY, PAYMENT_GATEWAY_KEY });
    expect(paymentGatewayKey).toBe(STRIPE_SECRET_KEY);
  });

  test("asks it of nobody but the worker", () => {
    for (const gateway of ["http", "stripe"]) {
      expect(problemsOf({ PAYMENT_GATEWAY: gateway, ROLES: "api,persister" })).toEqual([]);
    }
  });
});

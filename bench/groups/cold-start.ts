// From `npm start` to the first accepted order: on an empty DATA_DIR (initdb, migrations, the demo catalogue), and again on the
// same one. Packages are installed already. The order of the first start has to be there, and at its end, after the second.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { track } from "../children.ts";
import type { Context } from "../context.ts";
import { type Instance, instanceEnvironment, ROOT, removeData } from "../instance.ts";

const TIMEOUT_MS = 120_000;
const POLL_MS = 10;

export async function measureColdStart(context: Context): Promise<void> {
  for (let round = 1; round <= context.options.longRounds; round += 1) {
    const dataDir = mkdtempSync(path.join(tmpdir(), "onrush-bench-start-"));
    chmodSync(dataDir, 0o711); // Postgres runs as another account when this is root
    try {
      const cold = await startAndOrder(dataDir);
      const warm = await startAndOrder(dataDir, cold.orderId);
      context.record(`start ${round}`, "cold_start_ms", cold.ms);
      context.record(`start ${round}`, "warm_start_ms", warm.ms);
      context.audit("start", { oversold: 0, lost: warm.isKept ? 0 : 1, duplicated: 0 });
      context.settle();
    } finally {
      removeData(dataDir);
    }
  }
}

/** @param known an order of an earlier start, which is looked for before this one ends */
async function startAndOrder(
  dataDir: string,
  known?: string,
): Promise<{ ms: number; orderId: string; isKept: boolean }> {
  const giveUpAt = performance.now() + TIMEOUT_MS;
  const startedAt = performance.now();
  // A group of its own, as a terminal gives it: npm, its shell and what they start are ended together.
  const child = track(
    spawn("npm", ["start"], {
      cwd: ROOT,
      detached: true,
      stdio: "ignore",
      env: instanceEnvironment(dataDir, "api,persister,worker"),
    }),
  );
  const exited = once(child, "exit");
  try {
    const apiUrl = await until("an API", giveUpAt, async () => runningApi(dataDir));
    const productId = await until("a product", giveUpAt, () => firstProduct(apiUrl));
    const orderId = await until("a 202", giveUpAt, () => order(apiUrl, productId));
    const ms = performance.now() - startedAt;
    await until("CONFIRMED", giveUpAt, async () =>
      (await statusOf(apiUrl, orderId)) === "CONFIRMED" ? true : undefined,
    );
    const isKept = known === undefined || (await statusOf(apiUrl, known)) === "CONFIRMED";
    return { ms, orderId, isKept };
  } finally {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGTERM");
    await exited;
    await until("its end", giveUpAt, async () => (existsSync(path.join(dataDir, "runtime.json")) ? undefined : true));
  }
}

async function until<Result>(what: string, giveUpAt: number, look: () => Promise<Result | undefined>): Promise<Result> {
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (performance.now() > giveUpAt) throw new Error(`\`npm start\`: waited in vain for ${what}`);
    await delay(POLL_MS);
  }
}

function runningApi(dataDir: string): string | undefined {
  const file = path.join(dataDir, "runtime.json");
  if (!existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, "utf8")) as Instance).apiUrl ?? undefined;
}

async function firstProduct(apiUrl: string): Promise<string | undefined> {
  const { items } = (await (await fetch(`${apiUrl}/api/v1/products?limit=1`)).json()) as { items: { id: string }[] };
  return items[0]?.id;
}

async function order(apiUrl: string, productId: string): Promise<string | undefined> {
  const body = JSON.stringify({ customerId: randomUUID(), items: [{ productId, quantity: 1 }] });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${apiUrl}/api/v1/orders`, { method: "POST", headers, body });
  if (response.status !== 202) return undefined;
  return ((await response.json()) as { orderTrackingId: string }).orderTrackingId;
}

async function statusOf(apiUrl: string, orderId: string): Promise<string> {
  return ((await (await fetch(`${apiUrl}/api/v1/orders/${orderId}`)).json()) as { status: string }).status;
}

// What a payment provider tells by webhook, in everything that `npm start` runs: the provider's process signs, the API notes, the
// worker asks.
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { RuntimeFile } from "../../runtime/data-directory.ts";
import {
  type InstancePlace,
  type InstanceProcess,
  instancePlace,
  REAL_ENTRY,
  startInstance,
} from "../support/instance.ts";

const COFFEE = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

let place: InstancePlace;
let instance: InstanceProcess;
let runtime: RuntimeFile;
let database: pg.Client;

beforeAll(async () => {
  place = await instancePlace();
  instance = startInstance(place, { LOG_LEVEL: "warn", PAYMENT_PENDING_MS: "1000" }, REAL_ENTRY);
  runtime = await instance.untilReady();
  database = new pg.Client({ connectionString: runtime.databaseUrl });
  await database.connect();
});
afterAll(async () => {
  await database.end();
  instance.signalGroup("SIGTERM");
  expect(await instance.exited).toBe(0);
  place.remove();
});

async function order(token: string): Promise<string> {
  const response = await fetch(`${runtime.apiUrl}/api/v1/orders`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      customerId: randomUUID(),
      items: [{ productId: COFFEE, quantity: 1 }],
      payment: { method: "card", token },
    }),
  });
  expect(response.status).toBe(202);
  return ((await response.json()) as { orderTrackingId: string }).orderTrackingId;
}

async function rows(sql: string, value: string): Promise<Record<string, unknown>[]> {
  return (await database.query(sql, [value])).rows;
}

test.for([
  ["tok_pending", "CONFIRMED", "charge.succeeded"],
  ["tok_timeout", "CONFIRMED", "charge.succeeded"],
  ["tok_ok", "CONFIRMED", "charge.succeeded"],
  ["tok_declined", "CANCELLED", "charge.declined"],
] as const)("%s: %s, told by %s, followed up, and charged for once", async ([token, status, type]) => {
  const id = await order(token);
  const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 25_000, interval: 50 });
  await eventually(async () => {
    const response = await fetch(`${runtime.apiUrl}/api/v1/orders/${id}`);
    expect(((await response.json()) as { status: string }).status).toBe(status);
  });
  await eventually(async () => {
    const told = await rows(
      "SELECT type, handled_at IS NOT NULL AS handled FROM payment_events WHERE key = $1",
      `${id}:1`,
    );
    expect(told).toEqual([{ type, handled: true }]);
  });
  const charged = await rows("SELECT outcome FROM simulated_gateway.charges WHERE key LIKE $1 || ':%'", id);
  expect(charged).toEqual([{ outcome: type.replace("charge.", "") }]);
});

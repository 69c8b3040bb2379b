// The CLI as an operator runs it, a process of its own, on a test file's own servers with an engine beside it.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { openTestSale, startEngine } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `node cli/main.ts` with these arguments; no terminal. */
export function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env["PATH"], ...env }, maxBuffer: 64 * 1_024 * 1_024 };
    execFile(process.execPath, [CLI, ...args], options, (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, out, err });
    });
  });
}

/** Servers, an engine and the CLI on them, for a test file; let go with it. */
export async function openCliShop() {
  const database = await createTestDatabase();
  const redis = await startTestRedis();
  const shop = await startEngine({ databaseUrl: database.url, redisUrl: redis.url });
  afterAll(async () => {
    await shop.stop();
    await redis.stop();
  });
  const servers = { databaseUrl: database.url, redisUrl: redis.url };
  const onrush = (...args: string[]) => runCli(args, { REDIS_URL: redis.url, DATABASE_URL: database.url });
  return {
    ...shop,
    servers,
    onrush,
    /** The answer under `--json`; fails on any other exit code than 0. */
    async json<T>(...args: string[]): Promise<T> {
      const { code, out, err } = await onrush(...args, "--json");
      if (code !== 0) throw new Error(`exit ${code}: ${err}${out}`);
      return JSON.parse(out) as T;
    },
    /** The error under `--json`, with the exit code. */
    async failure(...args: string[]): Promise<{ exit: number; code: string; message: string; out: string }> {
      const { code, out, err } = await onrush(...args, "--json");
      const { error } = JSON.parse(err) as { error: { code: string; message: string } };
      return { exit: code, ...error, out };
    },
    openSale: (item: Parameters<typeof openTestSale>[1], sale?: Parameters<typeof openTestSale>[2]) =>
      openTestSale(shop, item, sale),
    place: (sale: { saleId: string; productId: string }, quantity = 1, method: "later" | "card" = "later") =>
      shop.engine.place({
        saleId: sale.saleId,
        customerId: randomUUID(),
        items: [{ productId: sale.productId, quantity }],
        payment: { method },
      }),
  };
}

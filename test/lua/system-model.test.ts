// The way from admission to the ledger, real scripts and real Postgres, in random sequences against the model of both. A
// small run of what `npm run model` does at length; always the same sequences, so that it is red for what was changed.
import { afterAll, beforeAll, expect, it } from "vitest";
import { runSequences } from "../model/run.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

const SEED = 20_261_121;
const SEQUENCES = 250;
const TIMEOUT_MS = 240_000;
const SHRINK_MS = 60_000;

const databases = [await createTestDatabase(), await createTestDatabase(), await createTestDatabase()];
let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

it(
  `agrees with the model over ${SEQUENCES} random sequences of orders, payments, crashes and rebuilds`,
  async () => {
    const result = await runSequences({
      sequences: SEQUENCES,
      seed: SEED,
      shrinkMs: SHRINK_MS,
      databaseUrls: databases.map(({ url }) => url),
      redisUrl: server.url,
    });
    expect(result.failures.map(({ report }) => report).join("\n")).toBe("");
    expect(result.agreed).toBe(SEQUENCES);
    // Each of these has to have happened, or the run was about nothing.
    const seen = [...result.seen.keys()];
    for (const what of [
      "verdict: SOLD_OUT",
      "late call: KNOWN",
      "persist: crash before commit",
      "rebuild with a loss",
    ]) {
      expect(seen).toContain(what);
    }
  },
  TIMEOUT_MS,
);

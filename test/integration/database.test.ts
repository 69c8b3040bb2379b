// Transactions over connections that break.
import { describe, expect, it } from "vitest";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { createTestDatabase } from "../support/postgres.ts";

const database = await createTestDatabase();

describe("a transaction whose connection breaks between two statements", () => {
  it("rejects, does not end the process, and the next one gets a new connection", async () => {
    const options = { connectionsMax: 1, applicationName: "test", statementTimeoutMs: 5_000 };
    const pool = openPool(database.url, options, () => undefined);
    try {
      const broken = transaction(pool, async (client) => {
        const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
        const isGone = new Promise((resolve) => client.once("end", resolve));
        await database.pool.query("SELECT pg_terminate_backend($1)", [rows[0]?.pid]);
        await isGone;
        await client.query("SELECT 1");
      });
      await expect(broken).rejects.toThrow();
      // An error that nobody listened to would have failed this file by now.
      expect(await transaction(pool, async (client) => (await client.query("SELECT 1 AS one")).rows)).toEqual([
        { one: 1 },
      ]);
    } finally {
      await pool.end();
    }
  });
});

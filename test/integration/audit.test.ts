import { describe, expect, it } from "vitest";
import { listAudit, recordAudit } from "../../engine/ledger/audit.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { createTestDatabase } from "../support/postgres.ts";

const database = await createTestDatabase();

describe("the audit trail", () => {
  it("keeps who did what to what, before and after, and why, newest first", async () => {
    await recordAudit(database.pool, {
      actor: "cus_1",
      action: "sale.create",
      subject: "sale:a",
      after: { name: "여름" },
    });
    await recordAudit(database.pool, {
      actor: "cli:ada",
      action: "sale.edit",
      subject: "sale:a",
      before: { name: "여름" },
      after: { name: "nul\0 \\u0000 \ud800" },
      reason: "오타",
    });
    const entries = await listAudit(database.pool, { limit: 10, subject: "sale:a" });
    expect(entries).toMatchObject([
      {
        actor: "cli:ada",
        action: "sale.edit",
        before: { name: "여름" },
        after: { name: "nul \\u0000 \ufffd" },
        reason: "오타",
      },
      { actor: "cus_1", action: "sale.create", before: null, after: { name: "여름" }, reason: null },
    ]);
    expect(entries[0]?.at).toBeInstanceOf(Date);
    const older = await listAudit(database.pool, { limit: 10, before: Number(entries[0]?.id) });
    expect(older.map(({ action }) => action)).toEqual(["sale.create"]);
    expect(await listAudit(database.pool, { limit: 10, actor: "cli:ada" })).toHaveLength(1);
    expect(await listAudit(database.pool, { limit: 10, action: "sale.open" })).toEqual([]);
  });

  it("goes with the transaction that it is written in", async () => {
    const pool = openPool(
      database.url,
      { connectionsMax: 1, applicationName: "audit", statementTimeoutMs: 5_000 },
      () => undefined,
    );
    const failing = transaction(pool, async (client) => {
      await recordAudit(client, { actor: "cus_1", action: "sale.close", subject: "sale:b" });
      throw new Error("rolled back");
    });
    await expect(failing).rejects.toThrow("rolled back");
    await pool.end();
    expect(await listAudit(database.pool, { limit: 10, subject: "sale:b" })).toEqual([]);
  });

  it.each(["UPDATE audit_log SET reason = 'other'", "DELETE FROM audit_log", "TRUNCATE audit_log"])(
    "is append-only: %s is refused",
    async (statement) => {
      await recordAudit(database.pool, { actor: "cus_1", action: "sale.open", subject: "sale:c" });
      await expect(database.pool.query(statement)).rejects.toThrow("append-only");
    },
  );
});

// What operators and Prometheus see of the reconciler.
import { describe, expect, it } from "vitest";
import type { Drift } from "../../engine/reconciliation/drift.ts";
import { type PassResult, recordDrifts, recordPasses } from "../../engine/reconciliation/results.ts";
import { openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const path = "/api/v1/admin/reconciliation";
const get = async (query = "") => await shop.call("GET", `${path}${query}`, { token: shop.admin });
const drift = (orderId: string): Drift => ({ kind: "HOLD_MISSING", orderId, expected: "record" });

async function record(saleId: string, orderIds: readonly string[], result: Partial<PassResult> = {}) {
  const drifts = orderIds.map(drift);
  const pass: PassResult = {
    saleId,
    partition: 0,
    verdict: drifts.length > 0 ? "DRIFT" : "CLEAN",
    reason: null,
    position: { epoch: 1, seq: 7 },
    durationMs: 12,
    drifts,
    open: new Set(orderIds.map((id) => `HOLD_MISSING|order:${id}|record`)),
    ...result,
  };
  await recordPasses(shop.pool, [pass]);
  return await recordDrifts(shop.pool, pass);
}

describe("the reconciliation", () => {
  it("is a row a partition, and its drifts until they end", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    expect((await record(saleId, ["a", "b"])).opened).toHaveLength(2);
    expect(await record(saleId, ["b"])).toEqual({ opened: [], ended: 1 });
    const { status, body } = await get();
    expect(status).toBe(200);
    expect(body).toMatchObject({
      partitions: [{ saleId, partition: 0, verdict: "DRIFT", seq: 7, passes: 2, durationMs: 12 }],
      items: [{ saleId, kind: "HOLD_MISSING", subject: "order:b", endedAt: null }],
    });
    expect((await get("?state=ended")).body.items).toMatchObject([{ subject: "order:a" }]);

    const metrics = (await shop.call("GET", "/metrics")).text;
    expect(metrics).toContain(`onrush_reconciliation_drift{sale="${saleId}",partition="0",kind="HOLD_MISSING"} 1`);
    expect(metrics).toContain(`onrush_reconciliation_verdict{sale="${saleId}",partition="0"} 1`);
    expect(metrics).toContain(`onrush_reconciliation_duration_seconds{sale="${saleId}",partition="0"} 0.012`);
    expect(metrics).toMatch(new RegExp(`onrush_reconciliation_age_seconds{sale="${saleId}",partition="0"} \\d`));

    // While nothing is certain, what was open stays open.
    await record(saleId, [], { verdict: "UNCERTAIN", reason: "Redis does not answer.", open: undefined });
    expect((await get()).body).toMatchObject({
      partitions: [{ verdict: "UNCERTAIN", reason: "Redis does not answer." }],
      items: [{ subject: "order:b" }],
    });
    await record(saleId, []);
    expect((await get()).body).toMatchObject({ partitions: [{ verdict: "CLEAN", reason: null }], items: [] });
  });

  it("is listed in pages, and refuses what it does not know", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    await record(saleId, ["x", "y", "z"]);
    const first = (await get("?limit=2")).body;
    expect(first.items).toHaveLength(2);
    const second = (await get(`?limit=2&cursor=${first.nextCursor}`)).body;
    expect(second.items).toHaveLength(1);
    expect(second.nextCursor).toBeUndefined();
    for (const query of ["?limit=0", "?cursor=x", "?state=some"]) {
      expect([query, (await get(query)).status]).toEqual([query, 400]);
    }
    expect((await shop.call("GET", path)).status).toBe(401);
  });
});

// The rotating buckets end by themselves when they turn stale: a sale that is over is not called any more.
import { afterAll, beforeAll, expect, it } from "vitest";
import { DAY_MS, openPartition, order, RECENT_MS, sku } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);

it.each(["settle", "release"] as const)(
  "records of %s and of keys end two periods after the start of theirs",
  async (end) => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    const placed = order([[A, 1]], { scope: "s", hash: "h" });
    await partition.place([placed]);
    await partition[end]([[placed.id, 1]]);
    const { idempotencyEven, idempotencyOdd, recentEven, recentOdd, meta } = partition.keys;
    const [idem, recent] = (await server.redis.hmget(meta, "idemPeriod", "recentPeriod")).map(Number) as [
      number,
      number,
    ];
    const endOf = (even: string, odd: string, period: number) =>
      server.redis.call("PEXPIRETIME", period % 2 === 0 ? even : odd);
    expect(await endOf(idempotencyEven, idempotencyOdd, idem)).toBe((idem + 2) * DAY_MS);
    expect(await endOf(recentEven, recentOdd, recent)).toBe((recent + 2) * RECENT_MS);
  },
);

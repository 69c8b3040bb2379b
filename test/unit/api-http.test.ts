import { describe, expect, test } from "vitest";
import { clientAddressReader } from "../../api/http/client-address.ts";
import { isPostgresAway, refusalOf } from "../../api/http/failures.ts";
import { createRateLimits } from "../../api/http/rate-limits.ts";
import { TokenBuckets } from "../../api/http/token-buckets.ts";
import { ConfigError } from "../../engine/config.ts";
import { OnrushError } from "../../engine/errors.ts";

describe("token buckets", () => {
  test("give a burst, then the rate, and say when to come back", () => {
    let nowMs = 0;
    const buckets = new TokenBuckets({ perSecond: 2, burst: 3, now: () => nowMs });
    for (let i = 0; i < 3; i += 1) buckets.take("a");
    expect(() => buckets.take("a")).toThrow(
      expect.objectContaining({ code: "RATE_LIMITED", facts: { retryAfter: 1 } }),
    );
    buckets.take("b");
    nowMs += 500;
    buckets.take("a");
    expect(() => buckets.take("a")).toThrow(OnrushError);
  });

  test("keep a bounded number of keys", () => {
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1, keysMax: 2, now: () => 0 });
    for (const key of ["a", "b", "c"]) buckets.take(key);
    expect(() => buckets.take("c")).toThrow(OnrushError);
    buckets.take("a"); // forgotten, so forgiven
  });

  test("fill at another rate from when it was set, and hold no more than the new burst", () => {
    let nowMs = 0;
    const buckets = new TokenBuckets({ perSecond: 10, burst: 10, now: () => nowMs });
    for (let i = 0; i < 4; i += 1) buckets.take("a");
    buckets.setRate({ perSecond: 1, burst: 2 });
    for (let i = 0; i < 2; i += 1) buckets.take("a"); // of the six that were left
    expect(() => buckets.take("a")).toThrow(OnrushError);
    buckets.setRate({ perSecond: 1_000, burst: 1_000 });
    expect(() => buckets.take("a")).toThrow(OnrushError); // what was taken stays taken
    nowMs += 2;
    buckets.take("a");
  });
});

describe("rate limits", () => {
  test("change while they are in use, all of them, and are lifted and put back", () => {
    const rates = { enabled: true, ordersPerSecond: 1, requestsPerSecond: 1, loginsPerMinute: 1 };
    const limits = createRateLimits(rates, () => 0);
    const countOf = (take: () => void) => {
      for (let taken = 0; ; taken += 1) {
        try {
          take();
        } catch {
          return taken;
        }
        if (taken === 100) return taken;
      }
    };
    expect(countOf(() => limits.order("a"))).toBe(5);
    expect(countOf(() => limits.login("kim@x.example", "a"))).toBe(1);
    limits.configure({ ...rates, enabled: false });
    for (const take of [limits.order, limits.orderOf, limits.request, limits.message]) {
      expect(countOf(() => take("a"))).toBe(100);
    }
    limits.configure({ enabled: true, ordersPerSecond: 2, requestsPerSecond: 3, loginsPerMinute: 4 });
    expect(countOf(() => limits.order("a"))).toBe(0); // used up before
    expect(countOf(() => limits.order("b"))).toBe(10);
    expect(countOf(() => limits.orderOf("b"))).toBe(10);
    expect(countOf(() => limits.request("b"))).toBe(15);
    expect(countOf(() => limits.login("lee@x.example", "b"))).toBe(4);
  });
});

describe("a client's address", () => {
  const read = (trusted: string[], remoteAddress: string, forwarded?: string) =>
    clientAddressReader(trusted)(remoteAddress, forwarded);
  test.each([
    [[], "10.0.0.1", "9.9.9.9", "10.0.0.1"],
    [["10.0.0.0/8"], "10.0.0.1", "9.9.9.9", "9.9.9.9"],
    [["10.0.0.0/8"], "::ffff:10.0.0.1", "1.1.1.1, 9.9.9.9, 10.0.0.2", "9.9.9.9"],
    [["10.0.0.0/8"], "8.8.8.8", "9.9.9.9", "8.8.8.8"],
    [["10.0.0.1"], "10.0.0.1", "nonsense", "10.0.0.1"],
    [["10.0.0.1"], "10.0.0.1", undefined, "10.0.0.1"],
    [[], "2001:db8:1:2:3:4:5:6", undefined, "2001:db8:1:2::/64"],
    [[], "2001:db8::1", undefined, "2001:db8:0:0::/64"],
  ] as [string[], string, string | undefined, string][])(
    "trusting %j, from %s forwarded for %s: %s",
    (trusted, socket, forwarded, address) => {
      expect(read(trusted, socket, forwarded)).toBe(address);
    },
  );

  test("proxies that are no addresses are refused at the start", () => {
    expect(() => clientAddressReader(["proxy.local"])).toThrow(ConfigError);
  });
});

describe("what an exception means", () => {
  const coded = (code: string) => Object.assign(new Error("connect"), { code });
  test("a database that is away is worth another try, a defect is not explained", () => {
    expect(isPostgresAway(coded("ECONNREFUSED"))).toBe(true);
    expect(isPostgresAway(new AggregateError([coded("ECONNREFUSED")]))).toBe(true);
    expect(refusalOf(new Error("Command timed out"))?.code).toBe("STOCK_UNAVAILABLE");
    expect(refusalOf(new Error("Connection terminated unexpectedly"))?.code).toBe("OVERLOADED");
    expect(refusalOf(new TypeError("x is not a function"))).toBeUndefined();
  });
});

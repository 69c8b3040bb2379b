// The runtime configuration as a document: what is taken, what is refused, and what comes of it.
import { describe, expect, it } from "vitest";
import { checkDocument } from "../../../engine/configuration/operations.ts";
import {
  checkTogether,
  differences,
  effectiveSettings,
  inOrder,
  mergePatch,
  SETTING_NAMES,
  type StoredSettings,
  settingOf,
  settingOrigins,
  settingsEnvironment,
  settingsPatch,
} from "../../../engine/configuration/settings.ts";
import { OnrushError } from "../../../engine/errors.ts";

const environment = settingsEnvironment({ RATE_LIMIT_ORDERS_PER_SECOND: "50", LOG_LEVEL: "" });

function errorsOf(document: unknown): unknown {
  try {
    return checkDocument(document);
  } catch (error) {
    return error instanceof OnrushError ? error.facts["errors"] : error;
  }
}

describe("settings", () => {
  it("are those of the environment where nothing is stored, and say so", () => {
    const { settings, origins } = environment;
    expect(effectiveSettings({}, environment)).toEqual(settings);
    expect(settings).toMatchObject({
      rateLimit: { enabled: true, ordersPerSecond: 50, requestsPerSecond: 500, loginsPerMinute: 30 },
      orders: { backlogMax: 200_000 },
      payments: { gateway: "simulated", chargeTimeoutMs: 8_000 },
      pauses: { orders: false, payments: false, refunds: false, webhooks: false, mails: false },
      log: { level: "info" },
    });
    expect(origins.rateLimit).toMatchObject({ ordersPerSecond: "environment", enabled: "default" });
    expect(origins.log.level).toBe("default"); // an empty variable is none
  });

  it("that are stored override, one by one", () => {
    const stored: StoredSettings = { rateLimit: { ordersPerSecond: 7 }, pauses: { orders: true } };
    const settings = effectiveSettings(stored, environment);
    expect(settings.rateLimit).toMatchObject({ ordersPerSecond: 7, requestsPerSecond: 500 });
    expect(settings.pauses).toMatchObject({ orders: true, mails: false });
    const origins = settingOrigins(stored, environment);
    expect(settingOf(origins, "rateLimit.ordersPerSecond")).toBe("stored");
    expect(settingOf(origins, "rateLimit.requestsPerSecond")).toBe("default");
    expect(settingOrigins({}, environment)).toEqual(environment.origins);
  });

  it("cannot be changed where they are read", () => {
    const settings = effectiveSettings({}, environment) as { pauses: { orders: boolean } };
    expect(() => {
      settings.pauses.orders = true;
    }).toThrow(TypeError);
  });

  it("all have a name of two parts, and a value", () => {
    for (const name of SETTING_NAMES) expect([name, settingOf(environment.settings, name)]).not.toContain(undefined);
    expect(settingOf(environment.settings, "nothing.at")).toBeUndefined();
  });
});

describe("a document", () => {
  it.for([
    [{ rateLimits: {} }, "rateLimits"],
    [{ rateLimit: { ordersPerMinute: 5 } }, "rateLimit.ordersPerMinute"],
    [{ rateLimit: { ordersPerSecond: 0 } }, "rateLimit.ordersPerSecond"],
    [{ rateLimit: { ordersPerSecond: "5" } }, "rateLimit.ordersPerSecond"],
    [{ rateLimit: { ordersPerSecond: 1.5 } }, "rateLimit.ordersPerSecond"],
    [{ rateLimit: { ordersPerSecond: null } }, "rateLimit.ordersPerSecond"],
    [{ orders: [] }, "orders"],
    [{ orders: { backlogMax: 0 } }, "orders.backlogMax"],
    [{ payments: { gateway: "paypal" } }, "payments.gateway"],
    [{ payments: { chargeTimeoutMs: 30_000 } }, "payments.chargeTimeoutMs"],
    [{ pauses: { orders: "yes" } }, "pauses.orders"],
    [{ log: { level: "loud" } }, "log.level"],
    [{ log: null }, "log"],
    [[], ""],
    ["x", ""],
    [null, ""],
  ])("%j is refused at %s", ([document, path]) => {
    expect(errorsOf(document)).toEqual([{ path, message: expect.any(String) }]);
  });

  it("is refused with all that is wrong, by name", () => {
    expect(errorsOf({ nothing: 1, log: { level: "x", colour: "red" }, pauses: { orders: 1 } })).toEqual([
      { path: "pauses.orders", message: expect.any(String) },
      { path: "log.level", message: expect.any(String) },
      { path: "log.colour", message: "is not known" },
      { path: "nothing", message: "is not known" },
    ]);
  });

  it("is judged by its members together, defaults included", () => {
    const path = "payments.circuitTrialDelayMsMax";
    expect(checkTogether({ payments: { circuitTrialDelayMs: 20_000 } })).toEqual([
      { path, message: expect.stringContaining("20000") },
    ]);
    expect(checkTogether({ payments: { circuitTrialDelayMs: 20_000, circuitTrialDelayMsMax: 20_000 } })).toEqual([]);
  });

  it("has one order, whatever order it came in", () => {
    const one = inOrder({ log: { level: "warn" }, rateLimit: { loginsPerMinute: 9, enabled: true }, pauses: {} });
    expect(JSON.stringify(one)).toBe('{"rateLimit":{"enabled":true,"loginsPerMinute":9},"log":{"level":"warn"}}');
  });
});

describe("a merge patch", () => {
  const stored: StoredSettings = { rateLimit: { enabled: false, ordersPerSecond: 7 }, log: { level: "warn" } };
  const patched = (patch: unknown) => mergePatch(stored, settingsPatch.parse(patch));

  it("changes what it names and nothing else", () => {
    expect(patched({ rateLimit: { ordersPerSecond: 8 }, pauses: { mails: true } })).toEqual({
      rateLimit: { enabled: false, ordersPerSecond: 8 },
      pauses: { mails: true },
      log: { level: "warn" },
    });
    expect(patched({})).toEqual(stored);
    expect(stored.rateLimit).toEqual({ enabled: false, ordersPerSecond: 7 });
  });

  it("takes what is null back to the default: a setting, or a section", () => {
    expect(patched({ rateLimit: { enabled: null } })).toEqual({
      rateLimit: { ordersPerSecond: 7 },
      log: { level: "warn" },
    });
    expect(patched({ rateLimit: null, log: { level: null } })).toEqual({});
    expect(patched({ pauses: null })).toEqual(stored);
  });

  it("tells what it changes", () => {
    expect(differences(stored, patched({ rateLimit: { enabled: null, ordersPerSecond: 8 } }))).toEqual([
      { name: "rateLimit.enabled", before: false, after: undefined },
      { name: "rateLimit.ordersPerSecond", before: 7, after: 8 },
    ]);
  });

  it("names no member that objects are born with", () => {
    for (const text of ['{"__proto__":{"x":1}}', '{"constructor":{}}', '{"log":{"__proto__":{"level":"warn"}}}']) {
      const result = settingsPatch.safeParse(JSON.parse(text));
      if (result.success) expect(mergePatch({}, result.data)).toEqual({});
    }
  });
});

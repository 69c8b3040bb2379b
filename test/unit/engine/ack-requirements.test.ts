// What each acknowledgement mode needs of a server, as a table.
import { describe, expect, it } from "vitest";
import { ACK_MODES } from "../../../engine/config.ts";
import { judgeServer, type ServerSettings } from "../../../engine/durability/requirements.ts";

const FITTING: ServerSettings = {
  runId: "a",
  role: "master",
  maxmemoryPolicy: "noeviction",
  appendonly: "yes",
  appendfsync: "always",
  noAppendfsyncOnRewrite: "no",
};
const UNTOLD: ServerSettings = {
  runId: undefined,
  role: undefined,
  maxmemoryPolicy: undefined,
  appendonly: undefined,
  appendfsync: undefined,
  noAppendfsyncOnRewrite: undefined,
};

describe.each(ACK_MODES)("under %s", (mode) => {
  it("a server that syncs every write fits", () => {
    expect(judgeServer(FITTING, mode)).toEqual({ problems: [], unverified: [], level: "fsync" });
  });

  it.each([
    [{ role: "slave" }, "role is slave, orders need master"],
    [{ maxmemoryPolicy: "allkeys-lru" }, "maxmemory-policy is allkeys-lru, reservations need noeviction"],
    [{ appendonly: "no" }, `appendonly is no, ACK_MODE=${mode} needs yes`],
    [
      { appendfsync: "no" },
      `appendfsync is no, ACK_MODE=${mode} needs ${mode === "fsync" ? "always" : "everysec or always"}`,
    ],
  ])("%o does not fit, and it is said why", (wrong, problem) => {
    expect(judgeServer({ ...FITTING, ...wrong }, mode).problems).toEqual([problem]);
  });

  it("everything that is wrong is said at once", () => {
    const wrong = { ...FITTING, appendonly: "no", maxmemoryPolicy: "volatile-ttl", role: "slave" };
    expect(judgeServer(wrong, mode).problems).toHaveLength(3);
  });

  it("what is not told is no problem, is named, and never counts as durable", () => {
    const judgement = judgeServer(UNTOLD, mode);
    expect(judgement).toMatchObject({ problems: [], level: "fast" });
    expect(judgement.unverified).toEqual(
      expect.arrayContaining(["role", "maxmemory-policy", "appendonly", "appendfsync"]),
    );
  });

  it("a sync once a second, or none during a rewrite, is less than fsync, and fits every mode but that", () => {
    for (const [lax, setting] of [
      [{ appendfsync: "everysec" }, "appendfsync is everysec"],
      [{ noAppendfsyncOnRewrite: "yes" }, "no-appendfsync-on-rewrite is yes"],
    ] as const) {
      const { problems, level } = judgeServer({ ...FITTING, ...lax }, mode);
      expect(level).toBe("fast");
      expect(problems).toEqual(mode === "fsync" ? [expect.stringContaining(`${setting}, ACK_MODE=fsync needs`)] : []);
    }
  });
});

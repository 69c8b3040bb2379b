// What the document says of peers that were killed: the last experiment's outcomes, whatever other runs are kept after it.
import { describe, expect, it } from "vitest";
import { renderBlocks } from "../../../bench/document/blocks.ts";
import { keep, type Result } from "../../../bench/document/kept.ts";
import type { Killed } from "../../../bench/groups/peers-killed.ts";

const MACHINE = { cores: 2, cpu: "some", memoryGb: 4, platform: "linux-x64", loadBefore: 0.5, versions: { node: "1" } };
const KILLED: Killed = {
  peer: "bullmq",
  victim: "redis",
  appendfsync: "everysec",
  kills: 3,
  acknowledged: 1_312,
  missing: 0,
  twice: 0,
  oversold: 0,
  strayUnits: 17,
  unanswered: 2,
  youngMax: 636,
};

function result(startedAt: string, peersKilled?: readonly Killed[]): Result {
  const right = { oversold: 0, lost: 0, duplicated: 0 };
  return { machine: MACHINE, startedAt, ...right, spread: { ratios: {} }, ...(peersKilled && { peersKilled }) };
}

describe("the peers that were killed", () => {
  it("are kept beside what later runs measured", () => {
    const kept = keep(
      keep(undefined, result("2026-11-21T10:00:00.000Z", [KILLED])),
      result("2026-11-22T10:00:00.000Z"),
    );
    const { killed } = renderBlocks(kept, new Set());

    expect(killed).toContain("| `bullmq`: its Redis, `everysec` | 3 | 1,312 | 0 | 0 | 0 | 17 | 2 | 636 |");
    expect(killed).toContain("2026-11-21");
  });

  it("are missing from the document until they were", () => {
    const { killed } = renderBlocks(keep(undefined, result("2026-11-21T10:00:00.000Z")), new Set());
    expect(killed).toBe("*Not measured yet.*");
  });
});

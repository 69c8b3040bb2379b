// No figure leaves a run whose books are wrong, nor one whose books were not counted.
import { beforeEach, describe, expect, it } from "vitest";
import { parseCommand } from "../../../bench/command.ts";
import { Context } from "../../../bench/context.ts";
import type { Machine } from "../../../bench/machine.ts";
import { outcomeOf } from "../../../bench/outcome.ts";

const MACHINE: Machine = { cores: 2, cpu: "some", memoryGb: 4, platform: "linux-x64", loadBefore: 0, versions: {} };
const RIGHT = { oversold: 0, lost: 0, duplicated: 0 };
const FIGURE = 12_345;

let said: string[];

function run(...args: string[]): Context {
  return new Context(parseCommand(args), (line) => said.push(line));
}

function outcome(context: Context) {
  return outcomeOf(context, MACHINE, new Date(0), 1);
}

beforeEach(() => {
  said = [];
});

describe("a run whose books are right", () => {
  it.each([["--json"], ["--quick"]])("prints its figures (%s)", (...args) => {
    const context = run(...args);
    context.record("round 1", "accept_rps", FIGURE);
    context.point("connections", { connections: 4, perSecond: 77 });
    context.audit("accept", RIGHT);
    context.settle();
    const { exitCode, result, text } = outcome(context);
    expect(exitCode).toBe(0);
    expect(result).toMatchObject({ accept_rps: FIGURE, ...RIGHT, series: { connections: [{ perSecond: 77 }] } });
    expect(text.replaceAll(",", "")).toContain(String(FIGURE));
    expect(said.join("\n")).toContain(String(FIGURE));
  });
});

describe.each(["oversold", "lost", "duplicated"] as const)("a run in which one was %s", (fault) => {
  it.each([["--json"], ["--quick"]])("prints no figure, and fails (%s)", (...args) => {
    const context = run(...args);
    context.record("round 1", "accept_rps", FIGURE);
    context.point("connections", { connections: 4, perSecond: FIGURE });
    context.audit("accept", { ...RIGHT, [fault]: 1 });
    context.settle();
    expect(outcome(context)).toEqual({ exitCode: 1, text: "" });
    expect(said.join("\n")).not.toContain(String(FIGURE));
    expect(said.join("\n")).toContain(`"${fault}":1`);
  });

  it("prints none of what is measured afterwards, however right that is", () => {
    const context = run();
    context.audit("accept", { ...RIGHT, [fault]: 1 });
    context.settle();
    context.record("round 2", "accept_rps", FIGURE);
    context.audit("accept again", RIGHT);
    context.settle();
    expect(outcome(context).exitCode).toBe(1);
    expect(said.join("\n")).not.toContain(String(FIGURE));
  });
});

describe("what was measured", () => {
  it("is not told before the books were counted", () => {
    const context = run();
    context.record("round 1", "accept_rps", FIGURE);
    context.note(`drained at ${FIGURE} orders/s`);
    expect(said).toEqual([]);
    context.audit("accept", RIGHT);
    context.settle();
    expect(said).toHaveLength(2);
  });

  it("and never counted ends the run", () => {
    const context = run();
    context.audit("earlier", RIGHT);
    context.record("round 1", "accept_rps", FIGURE);
    expect(() => context.settle()).toThrow(/no books were counted/);
    expect(said).toEqual([]);
  });
});

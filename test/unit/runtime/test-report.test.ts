import { describe, expect, it } from "vitest";
import { countResults } from "../../../runtime/test-report.ts";

const passed = { status: "passed" };
const failed = { status: "failed" };

describe("countResults", () => {
  it("counts tests", () => {
    const report = {
      numPassedTests: 2,
      numFailedTests: 1,
      testResults: [{ status: "failed", assertionResults: [passed, passed, failed] }],
    };
    expect(countResults(report, 1)).toEqual({ passed: 2, failed: 1 });
  });

  it("counts a file that could not be loaded as a failure", () => {
    const report = {
      numPassedTests: 1,
      numFailedTests: 0,
      testResults: [
        { status: "failed", assertionResults: [] },
        { status: "passed", assertionResults: [passed] },
      ],
    };
    expect(countResults(report, 1)).toEqual({ passed: 1, failed: 1 });
  });

  it("never calls a failed run passed", () => {
    expect(countResults(undefined, 0)).toEqual({ passed: 0, failed: 1 });
    const clean = { numPassedTests: 1, numFailedTests: 0, testResults: [] };
    expect(countResults(clean, 1)).toEqual({ passed: 1, failed: 1 });
    expect(countResults(clean, 0)).toEqual({ passed: 1, failed: 0 });
  });
});

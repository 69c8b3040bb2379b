// What a vitest run amounts to, from its JSON report.

export type Counts = { passed: number; failed: number };

/** The part of vitest's JSON report (Jest's format) that is read here. */
export type VitestReport = {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
};

/**
 * Passed and failed tests. A file that failed without a failed test (it could not be loaded, or a hook of it failed)
 * counts as a failure; and so does a run that vitest calls failed for a reason that shows in no file.
 */
export function countResults(report: VitestReport | undefined, exitCode: number): Counts {
  if (!report) return { passed: 0, failed: 1 };
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return { passed: report.numPassedTests, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}

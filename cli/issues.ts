// What a schema found wrong, in a sentence.
import type { z } from "zod";

const WRONG_TYPE = /^Invalid input: expected (int|number|string|boolean), received (\w+)$/;

/** The first finding, with where it is. */
export function firstIssue(result: z.ZodSafeParseResult<unknown>): string {
  const [issue] = result.error?.issues ?? [];
  return issue ? `Not valid: ${describeIssue(issue)}.` : "Not valid.";
}

export function describeIssue(issue: { readonly path: readonly PropertyKey[]; readonly message: string }): string {
  const where = issue.path.map(String).join(".");
  const [, expected = "", received] = WRONG_TYPE.exec(issue.message) ?? [];
  const kind = expected === "int" ? "whole number" : expected;
  const message = !received ? issue.message : received === "undefined" ? "is missing" : `must be a ${kind}`;
  return where === "" ? message : `${where}: ${message}`;
}

// What a schema found wrong, in a sentence.
import type { z } from "zod";

/** The first finding, with where it is. */
export function firstIssue(result: z.ZodSafeParseResult<unknown>): string {
  const [issue] = result.error?.issues ?? [];
  return issue ? `Not valid: ${describeIssue(issue)}.` : "Not valid.";
}

export function describeIssue(issue: { readonly path: readonly PropertyKey[]; readonly message: string }): string {
  const where = issue.path.map(String).join(".");
  return where === "" ? issue.message : `${where}: ${issue.message}`;
}

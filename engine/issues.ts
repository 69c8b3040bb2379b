// What a schema found wrong, by where it is. A name that is not known is told by that name, and not by what it stands in.
import type { z } from "zod";

export interface Issue {
  /** Dotted; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

const ISSUES_MAX = 20;

/** The findings, at most 20. */
export function issuesOf(error: z.ZodError): Issue[] {
  return error.issues
    .flatMap((issue) => {
      if (issue.code !== "unrecognized_keys") return [{ path: dotted(issue.path), message: issue.message }];
      return issue.keys.map((key) => ({ path: dotted([...issue.path, key]), message: "is not known" }));
    })
    .slice(0, ISSUES_MAX);
}

/** The longest name that is repeated in a refusal. */
const NAME_MAX = 100;

function dotted(path: readonly PropertyKey[]): string {
  return path.map((part) => String(part).slice(0, NAME_MAX)).join(".");
}

// Stripe's idempotency, as published: what a call was answered once it was begun is kept under its key for a day and answered
// again, be it a 500, to calls with the same parameters; other parameters, and calls while the first is out, are errors. What
// was refused before it was begun is not kept.
import type { Answer } from "./answers.ts";
import { apiError } from "./answers.ts";

export const KEPT_S = 24 * 3_600;

interface Kept {
  readonly asked: string;
  readonly atS: number;
  /** Undefined while the first call is out. */
  answer?: Answer;
}

export class IdempotencyKeys {
  readonly #kept = new Map<string, Kept>();

  /** @param execute resolves to an answer; `begun` false: it was refused before it was begun */
  async once(
    key: string | undefined,
    asked: string,
    nowS: number,
    execute: () => Promise<{ answer: Answer; begun: boolean }>,
  ): Promise<Answer> {
    if (key === undefined) return (await execute()).answer;
    const before = this.#kept.get(key);
    if (before && nowS - before.atS < KEPT_S) {
      if (before.asked !== asked) {
        return apiError(400, {
          type: "idempotency_error",
          message: "Keys for idempotent requests can only be used with the same parameters they were first used with.",
        });
      }
      if (!before.answer) {
        return apiError(409, {
          type: "idempotency_error",
          code: "idempotency_key_in_use",
          message: "There is currently another in-progress request using this Idempotent Key.",
        });
      }
      return { ...before.answer, headers: { "idempotent-replayed": "true" } };
    }
    const kept: Kept = { asked, atS: nowS };
    this.#kept.set(key, kept);
    const { answer, begun } = await execute();
    if (begun) kept.answer = answer;
    else this.#kept.delete(key);
    return answer;
  }
}

// What a run comes to. The one place that lets figures out: when anything was oversold, lost or duplicated there are none.
import { type Context, hasFaults } from "./context.ts";
import type { Machine } from "./machine.ts";
import { asJson, asTable } from "./report.ts";

export interface Outcome {
  /** 1 when the books are wrong, whatever the figures. */
  readonly exitCode: 0 | 1;
  /** For the results file; absent when the books are wrong. */
  readonly result?: object;
  /** For standard output; empty when the books are wrong. */
  readonly text: string;
}

export function outcomeOf(context: Context, described: Machine, startedAt: Date, seconds: number): Outcome {
  if (hasFaults(context.faults)) {
    context.say(`The books are wrong, so there are no figures: ${JSON.stringify(context.faults)}`);
    return { exitCode: 1, text: "" };
  }
  const versions = { ...described.versions, ...(context.postgresVersion && { postgres: context.postgresVersion }) };
  const machine = { ...described, versions };
  const result = asJson(context, machine, startedAt, seconds);
  const text = context.options.json ? `${JSON.stringify(result)}\n` : `\n${asTable(context, machine)}\n`;
  return { exitCode: 0, result, text };
}

// `npm run bench`: measures, counts, and only then speaks. Exit code 0 when the books are right, whatever the figures;
// 1 when they are not or a scenario failed; 2 for arguments that cannot be understood.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CommanderError } from "commander";
import { endChildren } from "./children.ts";
import { parseCommand } from "./command.ts";
import { Context, type Options } from "./context.ts";
import { writeReport } from "./document/write.ts";
import { describeMachine } from "./machine.ts";
import { outcomeOf } from "./outcome.ts";
import { runScenarios } from "./run.ts";

const DOCS = fileURLToPath(new URL("../docs", import.meta.url));
const RESULTS = fileURLToPath(new URL("results", import.meta.url));
/** However it goes, a run ends. */
const TIME_LIMIT_MS = { quick: 15 * 60_000, full: 150 * 60_000 };

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseCommand(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  if (options.report) return await report(options.report);
  const stopped = stopOnSignalOrTimeout(options.quick ? TIME_LIMIT_MS.quick : TIME_LIMIT_MS.full);
  const context = new Context(options);
  const machine = describeMachine();
  const startedAt = new Date();
  try {
    await Promise.race([runScenarios(context), stopped.promise]);
  } catch (error) {
    context.say(`The benchmark failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    stopped.cancel();
    await endChildren();
  }
  const seconds = (Date.now() - startedAt.getTime()) / 1_000;
  const { exitCode, result, text } = outcomeOf(context, machine, startedAt, seconds);
  if (result) {
    mkdirSync(RESULTS, { recursive: true });
    const file = `${RESULTS}/${startedAt.toISOString().replaceAll(":", "-")}.json`;
    writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
    process.stdout.write(text);
  }
  return exitCode;
}

async function report(results: readonly string[]): Promise<number> {
  try {
    for (const file of await writeReport(DOCS, results))
      process.stdout.write(`${path.relative(process.cwd(), file)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`No report: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

function stopOnSignalOrTimeout(timeLimitMs: number): { promise: Promise<never>; cancel(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not done after ${timeLimitMs / 60_000} minutes`)), timeLimitMs);
  const onSignal = (signal: NodeJS.Signals) => reject(new Error(`stopped by ${signal}`));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    promise,
    cancel() {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

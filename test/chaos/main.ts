// `npm run chaos`: the fault suite. Progress goes to stderr, the closing table (or one JSON object) to stdout.
import { CommanderError } from "commander";
import { FAULTS } from "./faults/catalogue.ts";
import { type Options, readOptions } from "./options.ts";
import { isGood, table } from "./report.ts";
import { runSuite } from "./suite.ts";

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = readOptions(args, FAULTS);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  if (options.list) {
    for (const { name, title } of options.faults) process.stdout.write(`${name.padEnd(31)} ${title}\n`);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  say(`Seed ${options.seed}. Again: npm run chaos -- --seed ${options.seed}`);
  const verdicts = await runSuite({ ...options, say, signal: stop.signal });
  const failed = verdicts.filter((verdict) => !isGood(verdict)).length;
  const { seed } = options;
  if (options.json) {
    const json = { seed, passed: verdicts.length - failed, failed, verdicts };
    process.stdout.write(`${JSON.stringify(json)}\n`);
  } else {
    process.stdout.write(
      `\n${table(verdicts)}\n\nSeed ${seed}\n${verdicts.length - failed} passed, ${failed} failed\n`,
    );
  }
  return failed === 0 && verdicts.length > 0 && !stop.signal.aborted ? 0 : 1;
}

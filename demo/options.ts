// The command line of `npm run demo`.
import { randomInt } from "node:crypto";
import { Command, InvalidArgumentError } from "commander";

export interface DemoOptions {
  readonly buyers: number;
  readonly units: number;
  /** Share of the buyers whose card is declined. */
  readonly decline: number;
  /** Share of the buyers whose bank takes two seconds to answer. */
  readonly slow: number;
  readonly seed: number;
  /** Seconds from the announcement to the opening. */
  readonly opensIn: number;
  /** A running instance to use; undefined: one of our own. */
  readonly url: string | undefined;
}

const SEED_MAX = 2 ** 32 - 1;

const EXAMPLES = `
Examples:
  npm run demo                                    100 units, 2,000 buyers, a tenth of the cards declined
  npm run demo -- --seed 7                        the same crowd again
  npm run demo -- --buyers 500 --units 20 --decline 0.5
  npm run demo -- --url http://127.0.0.1:3000     on the instance that npm start runs (DATA_DIR as it has it)

The demo starts an instance in a temporary folder and removes it afterwards. Kill any of the processes that it names (kill -9)
while the sale runs: they are started again, buyers ask again, and the proof must hold all the same.

Exit code: 0 the proof is valid, 1 it is not, 2 bad usage.`;

/** Parses the arguments; prints and exits by itself on `--help` (0) and on bad usage (2). */
export function parseOptions(args: readonly string[]): DemoOptions {
  const program = new Command("npm run demo --")
    .description("A whole flash sale against a real instance, then the proof of it from Redis and Postgres.")
    .option("--buyers <n>", "buyers who press at once (1 to 20000)", wholeNumber(1, 20_000), 2_000)
    .option("--units <n>", "units on sale (1 to 10000)", wholeNumber(1, 10_000), 100)
    .option("--decline <share>", "share of the buyers whose card is declined (0 to 1)", share, 0.1)
    .option("--slow <share>", "share of the buyers whose bank takes two seconds (0 to 1)", share, 0.1)
    .option("--seed <n>", `draws the crowd (0 to ${SEED_MAX}; default: drawn, and shown)`, wholeNumber(0, SEED_MAX))
    .option("--opens-in <seconds>", "time from announcement to opening (1 to 60)", wholeNumber(1, 60), 2)
    .option("--url <url>", "use the running instance there, found by its DATA_DIR/runtime.json", localUrl)
    .allowExcessArguments(false)
    .addHelpText("after", EXAMPLES)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  program.parse([...args], { from: "user" });
  const { seed = randomInt(1_000_000), url, ...rest } = program.opts<Omit<DemoOptions, "seed"> & { seed?: number }>();
  return { ...rest, seed, url };
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

function share(text: string): number {
  const value = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || value > 1) throw new InvalidArgumentError("Must be a number from 0 to 1.");
  return value;
}

function localUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== "http:") throw new InvalidArgumentError("Must be a URL that starts with http://.");
  return url.origin;
}

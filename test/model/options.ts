// The command line of `npm run model`.
import { Command, InvalidArgumentError } from "commander";

export interface ModelOptions {
  readonly sequences: number;
  readonly seed: number;
  readonly lanes: number;
  readonly path: string | undefined;
  readonly verbose: boolean;
}

const SEQUENCES = 1_000;
const SEQUENCES_MAX = 10_000_000;
const SEED_MAX = 2 ** 31 - 1 - 64;
const LANES = 8;
const LANES_MAX = 32;

/** @throws CommanderError on wrong usage, after saying so; with exit code 0 for --help */
export function readOptions(args: readonly string[]): ModelOptions {
  const given = new Command("npm run model --")
    .description(
      "Runs random sequences of orders, payments, crashes and rebuilds on the real scripts and a real Postgres, and compares " +
        "every answer and both books with a model. A disagreement is shrunk to the shortest sequence that shows it.",
    )
    .option("--sequences <n>", "how many", wholeNumber(1, SEQUENCES_MAX), SEQUENCES)
    .option("--seed <n>", "draws the same sequences again (default: random)", wholeNumber(0, SEED_MAX))
    .option(
      "--lanes <n>",
      "sequences at the same time; each lane draws from a seed of its own",
      wholeNumber(1, LANES_MAX),
      LANES,
    )
    .option("--path <path>", "replays one disagreement, with the seed and path that it named")
    .option("--verbose", "says how often each thing happened")
    .addHelpText(
      "after",
      "\nExit code: 0 all agreed, 1 one disagreed, 2 wrong usage.\n" +
        "\nExamples:\n  npm run model -- --sequences 10000\n  npm run model -- --sequences 200 --seed 7 --verbose",
    )
    .exitOverride()
    .parse(args, { from: "user" })
    .opts<{ sequences: number; seed?: number; lanes: number; path?: string; verbose?: boolean }>();
  return {
    sequences: given.sequences,
    seed: given.seed ?? Math.floor(Math.random() * 1_000_000),
    lanes: given.lanes,
    path: given.path,
    verbose: given.verbose ?? false,
  };
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

// The command line of `npm run model`.
import { Command, InvalidArgumentError } from "commander";
import { BREAKS, type Break } from "./breaks.ts";

export interface ModelOptions {
  readonly sequences: number;
  readonly seed: number;
  readonly lanes: number;
  readonly path: string | undefined;
  readonly shrinkMs: number;
  readonly verbose: boolean;
  /** Breaks the code in these ways instead, and shows that the model notices. */
  readonly breaks: readonly Break[] | undefined;
}

const SEQUENCES = 1_000;
const SEQUENCES_MAX = 10_000_000;
const SEED_MAX = 2 ** 31 - 1 - 64;
const LANES = 8;
const LANES_MAX = 32;
const NAMES = BREAKS.map(({ name }) => name).join(", ");

/** @throws CommanderError on wrong usage, after saying so; with exit code 0 for --help */
export function readOptions(args: readonly string[]): ModelOptions {
  const command = new Command("npm run model --")
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
    .option("--shrink <seconds>", "how long to look for a shorter disagreement", wholeNumber(0, 3_600), 60)
    .option("--verbose", "says how often each thing happened")
    .option("--breaks [name...]", `breaks copies of the code, and shows that it is noticed: ${NAMES}`)
    .addHelpText(
      "after",
      "\nExit code: 0 all agreed, 1 one disagreed, 2 wrong usage.\n" +
        "\nExamples:\n  npm run model -- --sequences 10000\n  npm run model -- --sequences 200 --seed 7 --verbose\n" +
        "  npm run model -- --breaks ids-not-known limits-kept",
    )
    .exitOverride()
    .parse(args, { from: "user" });
  const given = command.opts<{
    sequences: number;
    seed?: number;
    lanes: number;
    path?: string;
    shrink: number;
    verbose?: boolean;
    breaks?: string[] | true;
  }>();
  const names = given.breaks === true ? BREAKS.map(({ name }) => name) : given.breaks;
  const unknown = names?.find((name) => !BREAKS.some((one) => one.name === name));
  if (unknown !== undefined) command.error(`error: there is no break '${unknown}'`, { exitCode: 2 });
  return {
    breaks: names && BREAKS.filter(({ name }) => names.includes(name)),
    sequences: given.sequences,
    seed: given.seed ?? Math.floor(Math.random() * 1_000_000),
    lanes: given.lanes,
    path: given.path,
    shrinkMs: given.shrink * 1_000,
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

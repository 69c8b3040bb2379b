// The command line of `npm run chaos`.
import { Command, InvalidArgumentError } from "commander";
import type { Fault, Pace } from "./faults/fault.ts";

export interface Options {
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly pace: Pace;
  /** Goes through the faults again and again for so long, each time with the next seed; undefined: once. */
  readonly forMs: number | undefined;
  /** How long a sale gets to come to rest. */
  readonly patienceMs: number;
  readonly list: boolean;
  readonly json: boolean;
}

const SEED_MAX = 2 ** 31 - 1;
const MINUTES_MAX = 24 * 60;
/** A payment ends within 45 s whatever happens to it, and reservations are short here. */
const PATIENCE_SECONDS = 75;
const PATIENCE_SECONDS_MAX = 600;

/** @throws CommanderError on wrong usage, after saying so; with exit code 0 for --help */
export function readOptions(args: readonly string[], faults: readonly Fault[]): Options {
  const command = new Command("npm run chaos --")
    .description("Breaks one thing after another under a rush of orders, and proves every promise from the books.")
    .option("--seed <n>", "draws the same buyers and the same faults again", wholeNumber(0, SEED_MAX))
    .option("--fault <name...>", "only these; --list names them")
    .option("--minutes <n>", "goes on for so long, with a new seed each round", wholeNumber(1, MINUTES_MAX))
    .option("--quick", "the short run: about two minutes")
    .option(
      "--patience <seconds>",
      "what a sale gets to come to rest",
      wholeNumber(1, PATIENCE_SECONDS_MAX),
      PATIENCE_SECONDS,
    )
    .option("--list", "names the faults and what must happen")
    .option("--json", "one JSON object on stdout instead of the table")
    .addHelpText(
      "after",
      "\nExit code: 0 every promise held, 1 one was broken or a run proved nothing, 2 wrong usage.\n" +
        "\nExamples:\n  npm run chaos -- --fault answer-lost --seed 7\n  npm run chaos -- --minutes 60",
    )
    .exitOverride()
    .parse(args, { from: "user" });
  const given = command.opts<{
    seed?: number;
    fault?: string[];
    minutes?: number;
    quick?: boolean;
    patience: number;
    list?: boolean;
    json?: boolean;
  }>();
  const unknown = given.fault?.find((name) => !faults.some((fault) => fault.name === name));
  if (unknown !== undefined) command.error(`error: there is no fault '${unknown}'; --list names them`, { exitCode: 2 });
  return {
    seed: given.seed ?? Math.floor(Math.random() * 1_000_000),
    faults: faults.filter(({ name, quick, onlyQuick, onlyByName }) => {
      if (given.fault) return given.fault.includes(name);
      return !onlyByName && (given.quick ? quick : !onlyQuick);
    }),
    pace: given.quick ? "short" : "full",
    forMs: given.minutes === undefined ? undefined : given.minutes * 60_000,
    patienceMs: given.patience * 1_000,
    list: given.list ?? false,
    json: given.json ?? false,
  };
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

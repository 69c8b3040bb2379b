// `npm run bench:platforms -- ...`: what may be asked for.
import { tmpdir } from "node:os";
import path from "node:path";
import { Command, InvalidArgumentError } from "commander";

export const PLATFORM_NAMES = ["vendure", "medusa"] as const;
export type PlatformName = (typeof PLATFORM_NAMES)[number];

export interface PlatformOptions {
  readonly dir: string;
  readonly only: readonly PlatformName[];
  readonly buyers: number;
  readonly seconds: number;
  readonly rushBuyers: number;
  readonly rushUnits: number;
  readonly json: boolean;
}

const EXAMPLES = `
Each is installed by npm into --dir (several hundred megabytes, once), started on a private Postgres and an empty database, and
stopped again. A purchase is a guest's whole one: cart, line, address, shipping, payment, completion. Nothing of it is in CI.

Examples:
  npm run bench:platforms                             both; ten minutes or so the first time
  npm run bench:platforms -- --only vendure --json    one of them, one JSON object on stdout
  npm run bench:platforms -- --dir ~/platforms        keeps what it installs where you say

Results are kept in bench/results/. Exit code 1: something could not be installed, started or driven; what was measured by
then is printed.`;

/** @throws CommanderError when the arguments cannot be understood */
export function parsePlatformCommand(argv: readonly string[]): PlatformOptions {
  const command = new Command("npm run bench:platforms --")
    .description("Drives two whole commerce platforms, Medusa and Vendure, through their complete guest purchase.")
    .option("--dir <path>", "where they are installed", path.join(tmpdir(), "onrush-bench-platforms"))
    .option("--only <names>", `comma-separated: ${PLATFORM_NAMES.join(", ")}; default both`, platformNames)
    .option("--buyers <n>", "buyers at a time", wholeNumber(1, 256), 16)
    .option("--seconds <n>", "seconds for which they buy", wholeNumber(1, 600), 30)
    .option("--rush-buyers <n>", "buyers at once", wholeNumber(1, 2_000), 300)
    .option("--rush-units <n>", "units for them", wholeNumber(1, 2_000), 100)
    .option("--json", "print one JSON object on stdout instead of the table", false)
    .addHelpText("after", EXAMPLES)
    .exitOverride();
  const given = command.parse(argv, { from: "user" }).opts<Partial<PlatformOptions> & Omit<PlatformOptions, "only">>();
  return { ...given, only: given.only ?? PLATFORM_NAMES };
}

function platformNames(text: string): readonly PlatformName[] {
  return text.split(",").map((given) => {
    const name = PLATFORM_NAMES.find((one) => one === given.trim());
    if (!name) throw new InvalidArgumentError(`No platform is called ${given.trim()}.`);
    return name;
  });
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

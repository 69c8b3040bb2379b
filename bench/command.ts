// `npm run bench -- ...`: what may be asked for.
import { Command, InvalidArgumentError } from "commander";
import type { Options } from "./context.ts";
import { SCENARIOS, type Scenario } from "./figures.ts";

const EXAMPLES = `
Scenarios:
${Object.entries(SCENARIOS)
  .map(([name, what]) => `  ${name.padEnd(15)} ${what}`)
  .join("\n")}

Examples:
  npm run bench                                   everything; about an hour and a half
  npm run bench -- --quick                        all of the contract; under five minutes
  npm run bench -- --quick --json > figures.json  one JSON object on stdout, progress on stderr
  npm run bench -- --only noop,accept --repeat 5  one ratio, five times
  npm run bench -- --report bench/results/X.json  these figures into docs/BENCHMARKS.md, over those of earlier runs

A ratio needs both of its scenarios. Results are kept in bench/results/. Exit code 1: something was oversold, lost or
duplicated, or a scenario failed; no figures are printed then.`;

/** Many short turns rather than a few long ones: it is the alternation that takes the machine out of the ratios. */
const QUICK = {
  seconds: 1,
  burstSeconds: 10,
  sustainedSeconds: 15,
  shortRounds: 7,
  longRounds: 2,
  persistOrders: 50_000,
  expiryOrders: 20_000,
  depthOrdersMax: 100_000,
  reconcileSeconds: 10,
  latencySeconds: 4,
  fullLoadSeconds: 30,
  sockets: 500,
  socketOrdersPerSecond: 200,
  socketSeconds: 6,
};
const FULL = {
  seconds: 8,
  burstSeconds: 30,
  sustainedSeconds: 30,
  shortRounds: 7,
  longRounds: 3,
  persistOrders: 200_000,
  expiryOrders: 100_000,
  depthOrdersMax: 1_000_000,
  reconcileSeconds: 120,
  latencySeconds: 10,
  fullLoadSeconds: 600,
  sockets: 10_000,
  socketOrdersPerSecond: 2_000,
  socketSeconds: 30,
};
/** Minutes long or far from a quick look: in a quick run only when named. */
const NOT_QUICK: readonly Scenario[] = [
  ...(["limits", "latency", "rush", "carts", "connections", "ack_modes", "persist_copy"] as const),
  ...(["cold_start", "full_load", "skus", "reconcile"] as const),
  ...(["sustained", "expiry", "scale", "memory", "catalogue", "peers_killed"] as const),
];
/** With `--seconds`: orders that the persister gets for each. */
const PERSIST_ORDERS_PER_SECOND = 10_000;
/** As many as a rush has at least: with few, a closed loop measures how client and server wait for each other. */
const CONNECTIONS = 256;

/** @throws CommanderError when the arguments cannot be understood; usage errors exit with 2 */
export function parseCommand(argv: readonly string[]): Options {
  const command = new Command("npm run bench --")
    .description("Measures Onrush and its peers on this machine, in turn, and counts afterwards what was sold.")
    .option("--quick", "shorter and fewer rounds", false)
    .option("--json", "print one JSON object on stdout instead of the table", false)
    .option("--only <scenarios>", "comma-separated; default all", scenarios)
    .option("--seconds <n>", "seconds of one measurement", wholeNumber(1, 600))
    .option("--repeat <n>", "rounds", wholeNumber(1, 50))
    .option(
      "--report [results...]",
      "measure nothing: plots and tables of docs/BENCHMARKS.md, from these results files",
    )
    .option("--connections <n>", `connections of the load generator (default ${CONNECTIONS})`, wholeNumber(1, 4_096))
    .addHelpText("after", EXAMPLES)
    .exitOverride();
  const given = command.parse(argv, { from: "user" }).opts<{
    quick: boolean;
    json: boolean;
    only?: ReadonlySet<Scenario>;
    seconds?: number;
    repeat?: number;
    connections?: number;
    report?: true | string[];
  }>();
  const shape = given.quick ? QUICK : FULL;
  return {
    quick: given.quick,
    json: given.json,
    only:
      given.only ??
      new Set((Object.keys(SCENARIOS) as Scenario[]).filter((name) => !given.quick || !NOT_QUICK.includes(name))),
    seconds: given.seconds ?? shape.seconds,
    burstSeconds: given.seconds ?? shape.burstSeconds,
    sustainedSeconds: given.seconds ?? shape.sustainedSeconds,
    shortRounds: given.repeat ?? shape.shortRounds,
    longRounds: given.repeat ?? shape.longRounds,
    persistOrders: given.seconds === undefined ? shape.persistOrders : given.seconds * PERSIST_ORDERS_PER_SECOND,
    expiryOrders: shape.expiryOrders,
    depthOrdersMax: shape.depthOrdersMax,
    reconcileSeconds: given.seconds ?? shape.reconcileSeconds,
    latencySeconds: given.seconds ?? shape.latencySeconds,
    fullLoadSeconds: given.seconds ?? shape.fullLoadSeconds,
    sockets: shape.sockets,
    socketOrdersPerSecond: shape.socketOrdersPerSecond,
    socketSeconds: given.seconds ?? shape.socketSeconds,
    connections: given.connections ?? CONNECTIONS,
    ...(given.report !== undefined && { report: given.report === true ? [] : given.report }),
  };
}

function scenarios(text: string): ReadonlySet<Scenario> {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !Object.hasOwn(SCENARIOS, name));
  if (unknown.length > 0) {
    throw new InvalidArgumentError(`No scenario is called ${unknown.join(" or ")}; see --help.`);
  }
  return new Set(names as Scenario[]);
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

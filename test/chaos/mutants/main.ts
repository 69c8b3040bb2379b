// `npm run chaos:mutants`: shows that the suite notices when a safety is gone. Each mutant is applied to a private copy of
// the sources, and the faults that have to notice are run there; a mutant that passes them is missed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { Command, CommanderError } from "commander";
import type { Violation } from "../checker/books.ts";
import { RESTS } from "../scenario.ts";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { mutatedTree } from "./tree.ts";

const SEED = 20261120;
/** What is ruined often never comes to rest; what is sound does so within a few seconds under these faults. */
const PATIENCE_SECONDS = 15;
const RUN_TIMEOUT_MS = 240_000;
/** Mutants tried at the same time, each on servers of its own: mostly they wait. */
const AT_ONCE = 2;

interface Result {
  readonly mutant: string;
  readonly word: "caught" | "MISSED" | "NOT TRIED";
  readonly by: string;
}

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const command = new Command("npm run chaos:mutants --")
    .description("Ruins a copy of Onrush in known ways, and shows that the fault suite goes red for each.")
    .option("--mutant <name...>", `only these: ${MUTANTS.map(({ name }) => name).join(", ")}`)
    .exitOverride();
  let chosen: readonly Mutant[];
  try {
    const { mutant: names } = command.parse(args, { from: "user" }).opts<{ mutant?: string[] }>();
    chosen = MUTANTS.filter(({ name }) => names === undefined || names.includes(name));
    if (chosen.length !== (names?.length ?? MUTANTS.length)) command.error("error: there is no such mutant");
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  const startedAt = performance.now();
  const results: Result[] = [];
  // What takes longest begins first, so that nothing is waited for alone in the end.
  const left = [...chosen].sort((a, b) => (b.patienceSeconds ?? 0) - (a.patienceSeconds ?? 0));
  const tryOneByOne = async () => {
    for (let mutant = left.shift(); mutant; mutant = left.shift()) {
      const result = await tryMutant(mutant);
      process.stderr.write(`${mutant.name}: ${mutant.without}\n  ${result.word}: ${result.by}\n`);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, tryOneByOne));
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  const caught = results.filter(({ word }) => word === "caught").length;
  for (const { mutant, word, by } of results) process.stdout.write(`${mutant.padEnd(28)} ${word.padEnd(9)}  ${by}\n`);
  process.stdout.write(`\n${caught} caught, ${results.length - caught} missed, in ${seconds} s\n`);
  return caught === results.length ? 0 : 1;
}

async function tryMutant({ name, edits, faults, breaks, patienceSeconds = PATIENCE_SECONDS }: Mutant): Promise<Result> {
  const result = (word: Result["word"], by: string): Result => ({ mutant: name, word, by });
  let tree: ReturnType<typeof mutatedTree>;
  try {
    tree = mutatedTree(edits);
  } catch (error) {
    return result("NOT TRIED", error instanceof Error ? error.message : String(error));
  }
  try {
    const report = await runChaos(tree.folder, faults, patienceSeconds);
    const broken = report?.verdicts.flatMap(({ fault, violations }) =>
      violations
        .filter(({ promise, claim }) => breaks.includes(promise) && claim !== RESTS)
        .map(({ promise, claim, detail }) => `${fault}, promise ${promise}: ${claim}: ${detail}`),
    );
    const [first] = broken ?? [];
    // A suite that could not be carried out has noticed nothing: only a broken promise counts.
    if (first !== undefined) return result("caught", first);
    const word = `none of its promises (${breaks.join(", ")}) was seen broken`;
    return result("MISSED", report ? word : "the suite gave no report");
  } finally {
    tree.remove();
  }
}

interface Report {
  readonly verdicts: readonly { readonly fault: string; readonly violations: readonly Violation[] }[];
}

async function runChaos(
  folder: string,
  faults: readonly string[],
  patienceSeconds: number,
): Promise<Report | undefined> {
  const args = [
    path.join(folder, "test/chaos/main.ts"),
    "--json",
    "--quick",
    "--seed",
    String(SEED),
    "--patience",
    String(patienceSeconds),
    "--fault",
    ...faults,
  ];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const timer = setTimeout(() => child.kill("SIGTERM"), RUN_TIMEOUT_MS);
  await once(child, "close");
  clearTimeout(timer);
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as Report;
  } catch {
    return undefined;
  }
}

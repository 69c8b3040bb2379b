// `npm run model`: random sequences on the real scripts and the real ledger, judged by the model. Progress goes to stderr,
// the closing line to stdout.
import { CommanderError } from "commander";
import type { Break } from "./breaks.ts";
import { type ModelOptions, readOptions } from "./options.ts";
import { tryBreak } from "./prove.ts";
import { runSequences } from "./run.ts";
import { startModelServers } from "./servers.ts";

const PROGRESS_EVERY_MS = 2_000;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: ModelOptions;
  try {
    options = readOptions(args);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  return options.breaks ? await prove(options.breaks, options) : await run(options);
}

async function run({ sequences, seed, lanes, path, shrinkMs, verbose }: ModelOptions): Promise<number> {
  say(`Seed ${seed}. Again: npm run model -- --sequences ${sequences} --seed ${seed} --lanes ${lanes}`);
  const servers = await startModelServers(lanes);
  try {
    const startedAt = performance.now();
    const seconds = () => ((performance.now() - startedAt) / 1_000).toFixed(1);
    let saidAt = startedAt;
    const result = await runSequences({
      sequences,
      seed,
      path,
      shrinkMs,
      ...servers,
      onDisagreement: (error) => say(`  A sequence disagrees (${firstLine(error)}); looking for the shortest one ...`),
      onProgress: (done) => {
        if (performance.now() - saidAt < PROGRESS_EVERY_MS) return;
        saidAt = performance.now();
        say(`  ${done} of ${sequences} sequences, ${seconds()} s`);
      },
    });
    if (verbose) for (const [what, times] of [...result.seen].sort()) say(`  ${String(times).padStart(7)}  ${what}`);
    for (const failure of result.failures) {
      say(`\n${failure.report}\n`);
      const where = failure.path === null ? "" : ` --path ${failure.path}`;
      say(`Again, alone: npm run model -- --seed ${failure.seed} --lanes 1${where}`);
    }
    if (result.failures.length === 0) process.stdout.write(`${result.agreed} sequences agreed, seed ${seed}\n`);
    else process.stdout.write(`A sequence disagreed after ${result.agreed} that agreed, seed ${seed}\n`);
    say(`${seconds()} s`);
    return result.failures.length === 0 ? 0 : 1;
  } finally {
    await servers.stop();
  }
}

async function prove(breaks: readonly Break[], { sequences, seed, lanes, shrinkMs }: ModelOptions): Promise<number> {
  let missed = 0;
  for (const broken of breaks) {
    say(`${broken.name}: ${broken.without}`);
    const { word, by } = await tryBreak(broken, { sequences, seed, lanes, shrink: shrinkMs / 1_000 });
    if (word !== "noticed") missed += 1;
    process.stdout.write(`${broken.name.padEnd(24)} ${word.padEnd(9)} ${by}\n`);
  }
  process.stdout.write(`${breaks.length - missed} noticed, ${missed} missed, seed ${seed}\n`);
  return missed === 0 ? 0 : 1;
}

function firstLine(error: unknown): string {
  return String(error).split("\n", 1)[0] ?? "";
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

// `npm run model`: random sequences on the real scripts and the real ledger, judged by the model. Progress goes to stderr,
// the closing line to stdout.
import { CommanderError } from "commander";
import { readOptions } from "./options.ts";
import { runSequences } from "./run.ts";
import { startModelServers } from "./servers.ts";

const PROGRESS_EVERY_MS = 2_000;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(args);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  const { sequences, seed, lanes, path, verbose } = options;
  const say = (line: string) => void process.stderr.write(`${line}\n`);
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
      ...servers,
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

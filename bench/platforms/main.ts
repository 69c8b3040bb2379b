// `npm run bench:platforms`: Medusa and Vendure as peers, beside the benchmark proper, as they take minutes to install. Exit code
// 0 when all were measured, whatever the figures; 1 when one was not; 2 for arguments that cannot be understood.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CommanderError } from "commander";
import { endChildren } from "../children.ts";
import { describeMachine } from "../machine.ts";
import { type PlatformOptions, parsePlatformCommand } from "./command.ts";
import { type PlatformReport, runPlatform } from "./run.ts";
import { asTable } from "./table.ts";

const RESULTS = fileURLToPath(new URL("../results", import.meta.url));
/** However it goes, a run ends. */
const TIME_LIMIT_MS = 60 * 60_000;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  let options: PlatformOptions;
  try {
    options = parsePlatformCommand(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => undefined); // also when nobody waits for it just then
  const stop = (why: string) => stopped.reject(new Error(why));
  const timer = setTimeout(() => stop(`not done after ${TIME_LIMIT_MS / 60_000} minutes`), TIME_LIMIT_MS);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => stop(`stopped by ${signal}`));
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const platforms: PlatformReport[] = [];
  let failed = false;
  try {
    for (const name of options.only) {
      try {
        platforms.push(await Promise.race([runPlatform(name, options, say), stopped.promise]));
      } catch (error) {
        failed = true;
        say(`${name} was not measured: ${error instanceof Error ? error.message : String(error)}`);
        if (await isSettled(stopped.promise)) break;
      }
    }
  } finally {
    clearTimeout(timer);
    await endChildren();
  }
  if (platforms.length > 0) {
    const result = { platforms, machine, options, startedAt };
    mkdirSync(RESULTS, { recursive: true });
    const file = `${RESULTS}/platforms-${startedAt.replaceAll(":", "-")}.json`;
    writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
    process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `\n${asTable(platforms, machine)}\n`);
  }
  return failed ? 1 : 0;
}

/** Whether it was stopped, and the next one is not to begin. */
async function isSettled(promise: Promise<never>): Promise<boolean> {
  const pending = Symbol("pending");
  return Promise.race([promise, Promise.resolve(pending)]).then(
    () => false,
    () => true,
  );
}

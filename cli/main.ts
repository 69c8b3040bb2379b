#!/usr/bin/env node
// The admin CLI. Exit codes: 0 fine, 1 found something wrong or could not do it, 2 bad usage.
import { Command, CommanderError } from "commander";
import { stockCommand } from "./commands/stock.ts";
import { CommandError } from "./servers.ts";

const program = new Command("onrush")
  .description("Runs a shop on Onrush from the terminal.")
  .addHelpText(
    "after",
    "\nWorks on the instance that runs on DATA_DIR (default .data), or on REDIS_URL and DATABASE_URL.\n" +
      "\nExamples:\n  onrush stock show\n  onrush stock rebuild --apply",
  )
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });
for (const command of [stockCommand()]) program.addCommand(override(command));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof CommandError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
}

/** Bad usage of any command ends in the one place above. */
function override(command: Command): Command {
  command.exitOverride();
  for (const sub of command.commands) override(sub);
  return command;
}

// Commands: each is declared once, and gets from that declaration its help with examples, `--json`, `--yes` where it
// changes things, and the refusal to change anything unasked where nobody can be asked.
import { Command, InvalidArgumentError } from "commander";
import { CommandError, UsageError } from "./failure.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

export interface OptionSpec {
  /** Commander's notation: `--sale <id>`, `--apply`. */
  readonly flags: string;
  readonly help: string;
  /** Reads the value; throw {@link wrongValue} for one that is not valid. */
  readonly parse?: (value: string) => unknown;
  /** May be given more than once; the values become an array. */
  readonly many?: boolean;
  readonly required?: boolean;
}

export interface CommandSpec<Options extends object> {
  /** Name and arguments in commander's notation: `show <sale>`. */
  readonly usage: string;
  readonly summary: string;
  /** Paragraphs below the options. */
  readonly details?: string;
  /** Whole command lines. At least one. */
  readonly examples: readonly [string, ...string[]];
  readonly options?: readonly OptionSpec[];
  /** Whether it changes anything when given so: it then asks first, or wants `--yes`. */
  readonly changes?: (options: Options) => boolean;
  run(call: Call<Options>): Promise<void>;
}

/** One call of a command. */
export interface Call<Options extends object = object> {
  readonly args: readonly string[];
  readonly options: Options & { readonly json?: boolean; readonly yes?: boolean };
  readonly terminal: Terminal;
  /** Prints the answer: the value as one JSON document under `--json`, the text otherwise. */
  answer(value: unknown, text: () => string): Promise<void>;
  /** Asks before a change, unless `--yes` was given. @throws CommandError when the answer is no */
  confirm(question: string): Promise<void>;
}

/** Paragraphs of a help page are no wider. */
const HELP_COLUMNS = 78;

/** A group of commands: `onrush stock ...`. */
export function group(name: string, summary: string, examples: readonly string[] = []): Command {
  const command = new Command(name).description(summary).exitOverride().helpCommand(false);
  return examples.length === 0 ? command : command.addHelpText("after", `\nExamples:\n${indented(examples)}`);
}

function indented(examples: readonly string[]): string {
  return examples.map((example) => `  ${example}`).join("\n");
}

/** Adds a command to a group, or to the program. */
export function addCommand<Options extends object>(parent: Command, spec: CommandSpec<Options>): void {
  const command = parent.command(spec.usage).description(spec.summary).exitOverride().allowExcessArguments(false);
  for (const option of spec.options ?? []) addOption(command, option);
  if (spec.changes) command.option("-y, --yes", "do not ask before changing anything");
  command.option("--json", "one JSON document on stdout, for programs");
  const details = spec.details ? `\n${command.createHelp().boxWrap(spec.details, HELP_COLUMNS)}\n` : "";
  command.addHelpText("after", `${details}\nExamples:\n${indented(spec.examples)}`);
  command.action(async (...given: unknown[]) => {
    const options = given.at(-2) as Options & { json?: boolean; yes?: boolean };
    const args = given
      .slice(0, -2)
      .flat()
      .filter((arg) => arg !== undefined) as string[];
    const terminal = openTerminal();
    if (spec.changes?.(options) && !options.yes && !terminal.isInteractive) {
      throw new UsageError("This changes things, and there is no terminal to ask on: add --yes to do it.");
    }
    await spec.run({
      args,
      options,
      terminal,
      answer: (value, text) => terminal.write(`${options.json ? JSON.stringify(value) : text()}\n`),
      async confirm(question) {
        if (options.yes) return;
        if (!(await terminal.ask(question))) throw new CommandError("Nothing was changed.", "DECLINED");
      },
    });
  });
}

function addOption(command: Command, { flags, help, parse, many, required }: OptionSpec): void {
  const read = (value: string, before: unknown) => {
    const parsed = parse ? parse(value) : value;
    return many ? [...((before as unknown[] | undefined) ?? []), parsed] : parsed;
  };
  if (!flags.includes("<")) command.option(flags, help);
  else if (required) command.requiredOption(flags, help, read);
  else command.option(flags, help, read);
}

/** What an option's `parse` throws. */
export function wrongValue(message: string): Error {
  return new InvalidArgumentError(message);
}

/** Reads a whole number between the bounds. */
export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^-?\d+$/.test(value) || number < min || number > max) {
      throw wrongValue(`must be a whole number from ${min} to ${max}.`);
    }
    return number;
  };
}

/** Reads one of the values. */
export function oneOf<const T extends string>(...values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((known) => known === value);
    if (found === undefined) throw wrongValue(`must be one of ${values.join(", ")}.`);
    return found;
  };
}

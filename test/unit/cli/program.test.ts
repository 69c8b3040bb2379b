import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../../cli/program.ts";
import { widthOf } from "../../../cli/table.ts";

const COLUMNS = 80;

interface Page {
  readonly name: string;
  readonly command: Command;
  readonly help: string;
}

/** The help of a command and of all below it, as an 80-column terminal gets it. */
function pagesOf(command: Command, above = ""): Page[] {
  let help = "";
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
    getOutHelpWidth: () => COLUMNS,
  });
  command.outputHelp();
  const name = `${above} ${command.name()}`.trim();
  return [{ name, command, help }, ...command.commands.flatMap((sub) => pagesOf(sub, name))];
}

const pages = pagesOf(createProgram());

describe.each(pages)("$name --help", ({ command, help }) => {
  it("fits 80 columns, says what it does and gives examples", () => {
    expect(help.split("\n").filter((line) => widthOf(line) > COLUMNS)).toEqual([]);
    expect(command.description()).not.toBe("");
    expect(help).toMatch(/^Examples:\n {2}.*onrush /m);
  });

  it("offers --json wherever there is an answer", () => {
    if (command.commands.length === 0) expect(help).toContain("--json");
  });
});

// Where a command's output goes: its answer to stdout, everything else (questions, progress, notes) to stderr, so that
// stdout can be piped. Colours only where a person looks, and not when NO_COLOR is set.
import { createInterface } from "node:readline/promises";
import pc from "picocolors";
import { oneLine } from "./table.ts";

/** Cells that a line has where the terminal does not tell. */
const COLUMNS_DEFAULT = 80;

export interface Terminal {
  /** Somebody is there to answer a question. */
  readonly isInteractive: boolean;
  /** The width of the screen that the answer goes to; `undefined` when it goes to a file or a program. */
  readonly columns: number | undefined;
  /** For stdout. */
  readonly colors: ReturnType<typeof pc.createColors>;
  /** Writes to stdout and resolves when it may be written on. */
  write(text: string): Promise<void>;
  /** Writes a line to stderr. */
  note(text: string): void;
  /** Asks on stderr. @returns whether the answer was yes */
  ask(question: string): Promise<boolean>;
}

export function openTerminal({ stdin, stdout, stderr, env }: NodeJS.Process = process): Terminal {
  const isInteractive = stdin.isTTY === true && stderr.isTTY === true;
  const isColoured = stdout.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  return {
    isInteractive,
    columns: stdout.isTTY ? stdout.columns || COLUMNS_DEFAULT : undefined,
    colors: pc.createColors(isColoured),
    write: (text) =>
      new Promise((resolve, reject) => {
        stdout.write(text, (error) => (error ? reject(error) : resolve()));
      }),
    note: (text) => void stderr.write(`${text}\n`),
    async ask(question) {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return /^(y|yes|예|네|ㅇ)$/i.test(
          (await lines.question(`${question.split("\n").map(oneLine).join("\n")} [y/N] `)).trim(),
        );
      } finally {
        lines.close();
      }
    },
  };
}

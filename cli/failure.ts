// How a command fails: one sentence for the person, a code for the program, and the exit code.
import { CommanderError } from "commander";
import pg from "pg";
import { OnrushError } from "../engine/errors.ts";

/** Something was found to be wrong, or could not be done. Exit code 1. */
export class CommandError extends Error {
  readonly code: string;

  constructor(message: string, code = "FAILED") {
    super(message);
    this.code = code;
  }
}

/** The command was not understood, or may not be carried out as it was given. Exit code 2. */
export class UsageError extends CommandError {
  constructor(message: string) {
    super(message, "USAGE");
  }
}

export interface Failure {
  /** 0: it was no failure (help was shown). 1: wrong or not possible. 2: bad usage. */
  readonly exitCode: 0 | 1 | 2;
  readonly code: string;
  readonly message: string;
}

const UNDEFINED_TABLE_OR_COLUMN = /^42(P01|703)$/;

/** Reads what was thrown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "");
    return { exitCode: error.exitCode === 0 ? 0 : 2, code: "USAGE", message };
  }
  if (error instanceof UsageError) return { exitCode: 2, code: error.code, message: error.message };
  if (error instanceof CommandError) return { exitCode: 1, code: error.code, message: error.message };
  if (error instanceof OnrushError) {
    return { exitCode: error.code === "VALIDATION" ? 2 : 1, code: error.code, message: error.message };
  }
  if (error instanceof pg.DatabaseError && UNDEFINED_TABLE_OR_COLUMN.test(error.code ?? "")) {
    const message = "The database has not the schema of this version of Onrush; start it once, so that it migrates.";
    return { exitCode: 1, code: "SCHEMA", message };
  }
  const message = error instanceof Error ? error.message || String(error) : String(error);
  return { exitCode: 1, code: "FAILED", message: `It did not work: ${message.split("\n")[0]}` };
}

// How far long work is, on stderr: one line that is written over where a person looks, and elsewhere, where it is asked for, a
// line now and then.
import { widthOf } from "./table.ts";

export interface Progress {
  /** `done` of `total` (left out: unknown) is reached. */
  at(done: number, total?: number): void;
  /** Clears the line. */
  end(): void;
}

const BAR_CELLS = 24;
const REDRAW_MS = 80;
/** Off a terminal; what takes less says nothing. */
const LINE_EVERY_MS = 2_000;

export const NO_PROGRESS: Progress = { at: () => undefined, end: () => undefined };

export interface ProgressOptions {
  /** Writes a line every two seconds where stderr is no terminal; silent there without it. */
  readonly lines?: boolean;
  readonly stream?: Pick<NodeJS.WriteStream, "isTTY" | "columns" | "write">;
  /** Milliseconds from any start. */
  readonly clock?: () => number;
}

/** A progress line under that name. */
export function startProgress(
  name: string,
  { lines = false, stream = process.stderr, clock = () => performance.now() }: ProgressOptions = {},
): Progress {
  if (!stream.isTTY) return lines ? linesOf(name, stream, clock) : NO_PROGRESS;
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  const width = () => (stream.columns || 80) - 1;
  return {
    at(done, total) {
      const now = clock();
      if (now - drawnAtMs < REDRAW_MS && done !== total) return;
      drawnAtMs = now;
      const line = `${name}  ${total === undefined ? `${done}` : bar(done, total)}`;
      stream.write(`\r${line}${" ".repeat(Math.max(0, width() - widthOf(line)))}`);
    },
    end() {
      if (drawnAtMs !== Number.NEGATIVE_INFINITY) stream.write(`\r${" ".repeat(width())}\r`);
    },
  };
}

function linesOf(name: string, stream: Pick<NodeJS.WriteStream, "write">, clock: () => number): Progress {
  let writtenAtMs = clock();
  return {
    at(done, total) {
      const now = clock();
      if (now - writtenAtMs < LINE_EVERY_MS || done === total) return;
      writtenAtMs = now;
      stream.write(`${name}  ${total === undefined ? `${done}` : `${percent(done, total)}  ${done}/${total}`}\n`);
    },
    end: () => undefined,
  };
}

function bar(done: number, total: number): string {
  const full = Math.round(shareOf(done, total) * BAR_CELLS);
  return `${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)}  ${percent(done, total)}  ${done}/${total}`;
}

function percent(done: number, total: number): string {
  return `${Math.floor(shareOf(done, total) * 100)}%`;
}

function shareOf(done: number, total: number): number {
  return total === 0 ? 1 : Math.min(1, done / total);
}

// How far long work is: one line on stderr that is written over, only where a person looks.
import { widthOf } from "./table.ts";

export interface Progress {
  /** `done` of `total` (left out: unknown) is reached. */
  at(done: number, total?: number): void;
  /** Clears the line. */
  end(): void;
}

const BAR_CELLS = 24;
const REDRAW_MS = 80;

export const NO_PROGRESS: Progress = { at: () => undefined, end: () => undefined };

/** A progress line under that name; silent when stderr is no terminal. */
export function startProgress(name: string, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return NO_PROGRESS;
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  const width = () => (stream.columns || 80) - 1;
  return {
    at(done, total) {
      const now = performance.now();
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

function bar(done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const full = Math.round(share * BAR_CELLS);
  return `${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)}  ${Math.floor(share * 100)}%  ${done}/${total}`;
}

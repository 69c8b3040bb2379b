// Shows that the model notices when a safety is gone: each break is applied to a private copy of the sources, and the
// sequences run there have to disagree.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { mutatedTree } from "../chaos/mutants/tree.ts";
import type { Break } from "./breaks.ts";

const RUN_TIMEOUT_MS = 300_000;

export interface BreakResult {
  readonly word: "noticed" | "MISSED" | "NOT TRIED";
  /** What the shortest disagreement was about, or why there is none. */
  readonly by: string;
}

export async function tryBreak(
  { edits }: Break,
  options: { sequences: number; seed: number; lanes: number; shrink: number },
): Promise<BreakResult> {
  let tree: ReturnType<typeof mutatedTree>;
  try {
    tree = mutatedTree(edits);
  } catch (error) {
    return { word: "NOT TRIED", by: error instanceof Error ? error.message : String(error) };
  }
  try {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn(process.execPath, [path.join(tree.folder, "test/model/main.ts"), ...args], {
      cwd: tree.folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
    const timer = setTimeout(() => child.kill("SIGTERM"), RUN_TIMEOUT_MS);
    await once(child, "close");
    clearTimeout(timer);
    return judge(said.join(""));
  } finally {
    tree.remove();
  }
}

// A run that could not be carried out has noticed nothing: only a disagreement counts.
function judge(said: string): BreakResult {
  const counterexample = /^Counterexample: (.*)$/m.exec(said)?.[1];
  if (counterexample === undefined) {
    const agreed = /^\d+ sequences agreed/m.exec(said)?.[0];
    return { word: "MISSED", by: agreed ?? said.slice(-300) };
  }
  const steps = [...counterexample.matchAll(/"do":"([^"]+)"/g)].map(([, name]) => name);
  const about = /^(?:AssertionError[^:]*|\w*[eE]rror): (.*)$/m.exec(said)?.[1] ?? "an error";
  const after = /disagreed after (\d+)/.exec(said)?.[1] ?? "?";
  return { word: "noticed", by: `after ${after} sequences, by "${about}": ${steps.join(", ")}` };
}

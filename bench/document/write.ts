// `npm run bench -- --report [RESULT.json ...]`: keeps the results of these runs, draws the plots and writes the tables.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fillIn, renderBlocks } from "./blocks.ts";
import { type Kept, keep, type Result } from "./kept.ts";
import { drawPlots } from "./plots.ts";

/**
 * @param docs the folder of BENCHMARKS.md; the plots and figures.json are in `benchmarks` beneath it
 * @returns the files written
 * @throws when a result cannot be read or its books are wrong, or nothing was ever kept
 */
export async function writeReport(docs: string, results: readonly string[]): Promise<string[]> {
  const folder = path.join(docs, "benchmarks");
  const figuresFile = path.join(folder, "figures.json");
  let kept = existsSync(figuresFile) ? (JSON.parse(readFileSync(figuresFile, "utf8")) as Kept) : undefined;
  for (const file of results) kept = keep(kept, JSON.parse(readFileSync(file, "utf8")) as Result);
  if (!kept) throw new Error("Nothing was kept yet: name the results file of a run, bench/results/....json");
  const plots = await drawPlots(kept);
  const document = path.join(docs, "BENCHMARKS.md");
  const text = fillIn(readFileSync(document, "utf8"), renderBlocks(kept, new Set(plots.keys())));
  mkdirSync(folder, { recursive: true });
  const files = new Map([
    [figuresFile, `${JSON.stringify(kept, null, 2)}\n`],
    [document, text],
    ...[...plots].map(([name, svg]) => [path.join(folder, `${name}.svg`), svg] as const),
  ]);
  for (const [file, content] of files) writeFileSync(file, content);
  return [...files.keys()];
}

// A private copy of the sources that a mutant may ruin, in a temporary folder; packages are linked, not copied.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Edit } from "./mutants.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** What a system needs to run, and the suite to judge it. */
const COPIED = ["package.json", "tsconfig.json", "lua", "engine", "api", "persister", "runtime", "cli", "demo", "test"];

export interface Tree {
  readonly folder: string;
  remove(): void;
}

/** @throws when an edit's text does not stand exactly once in its file */
export function mutatedTree(edits: readonly Edit[]): Tree {
  const folder = mkdtempSync(path.join(tmpdir(), "onrush-mutant-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    for (const name of COPIED) copyIfThere(name, folder);
    symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    for (const edit of edits) apply(edit, folder);
    return { folder, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function copyIfThere(name: string, folder: string): void {
  try {
    cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function apply({ file, find, replace }: Edit, folder: string): void {
  const target = path.join(folder, file);
  const parts = readFileSync(target, "utf8").split(find);
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, not once: ${find.trim()}`);
  writeFileSync(target, parts.join(replace));
}

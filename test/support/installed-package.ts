// Onrush as its users have it: packed by npm, and unpacked in a project of its own beside the packages that it depends on.
//
// `npm install` of the archive would be more real, but it needs npm's cache to know every dependency (`--offline` fails on
// a machine whose cache was cleaned) or a registry. So the direct `dependencies` are linked from this repository, and only
// they: an import of a development dependency from dist/ fails here as it would at a user's.
import { type ExecFileOptions, execFile } from "node:child_process";
import { accessSync, constants, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { scratchFolder } from "./scratch.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = path.join(ROOT, "node_modules/.bin");
/** Not part of a clean clone, or not needed to pack it. */
const NOT_COPIED = /^(\..*|node_modules|dist|coverage|results)$/;
const COMMAND_TIMEOUT_MS = 60_000;
const NODE_MAJOR_MIN = 20;

export const PINNED_NODE = path.join(BIN, "node");

/** What package.json says that matters to a user. */
export type Manifest = {
  dependencies: Record<string, string>;
  exports: Record<string, string | Record<string, string>>;
  bin?: Record<string, string>;
};

export type InstalledPackage = {
  /** Every file of the archive, by its path in the package. */
  files: string[];
  manifest: Manifest;
  /** Writes a file of the project. */
  write(name: string, text: string): void;
  /** Runs a module of the project; resolves to what it printed, rejects when it ends otherwise than with 0. */
  run(node: string, name: string, env: Record<string, string>): Promise<string>;
  /** Type checks the project's TypeScript as strictly as a careful user would. */
  typeCheck(): Promise<string>;
  remove(): void;
};

/** Packs a copy of the sources, so that runs at the same time never meet in one dist/. */
export async function installPackage(): Promise<InstalledPackage> {
  const folder = scratchFolder("package");
  const project = path.join(folder, "project");
  const installed = path.join(project, "node_modules/onrush");
  mkdirSync(installed, { recursive: true });
  const { archive, files } = await pack(path.join(folder, "clone"), folder);
  await execute("tar", ["-xzf", archive, "-C", installed, "--strip-components=1"], { cwd: folder });
  const manifest = JSON.parse(readFileSync(path.join(installed, "package.json"), "utf8")) as Manifest;
  for (const name of Object.keys(manifest.dependencies)) link(name, project);
  const write = (name: string, text: string) => writeFileSync(path.join(project, name), text);
  write("package.json", JSON.stringify({ private: true, type: "module" }));
  write("tsconfig.json", JSON.stringify({ compilerOptions: CONSUMER_OPTIONS, include: ["*.ts"] }));
  return {
    files,
    manifest,
    write,
    run: (node, name, env) => execute(node, [name], { cwd: project, env: { ...process.env, ...env } }),
    typeCheck: () => execute(PINNED_NODE, [path.join(ROOT, "node_modules/typescript/bin/tsc")], { cwd: project }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The first Node of PATH that is not ours, when it is new enough; a user's machine has no pinned one. */
export async function systemNode(): Promise<string | undefined> {
  const folders = (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .filter((folder) => !folder.includes("node_modules"));
  const node = folders.map((folder) => path.join(folder, "node")).find(isExecutable);
  if (node === undefined) return undefined;
  const version = await execute(node, ["-p", "process.versions.node"], { cwd: ROOT });
  return Number.parseInt(version, 10) >= NODE_MAJOR_MIN ? node : undefined;
}

/** With `skipLibCheck` off, so that Onrush's own declarations are checked too, and what they import must be there. */
const CONSUMER_OPTIONS = {
  target: "es2024",
  module: "nodenext",
  moduleResolution: "nodenext",
  strict: true,
  skipLibCheck: false,
  noEmit: true,
};

async function pack(clone: string, destination: string): Promise<{ archive: string; files: string[] }> {
  cpSync(ROOT, clone, { recursive: true, filter: (file) => file === ROOT || !NOT_COPIED.test(path.basename(file)) });
  symlinkSync(path.join(ROOT, "node_modules"), path.join(clone, "node_modules"), "dir");
  const quiet = ["--json", "--offline", "--loglevel=error", "--foreground-scripts=false", "--no-update-notifier"];
  const output = await execute("npm", ["pack", ...quiet, "--pack-destination", destination], { cwd: clone });
  const [packed] = Object.values(JSON.parse(output) as Record<string, { filename: string; files: { path: string }[] }>);
  if (!packed) throw new Error(`npm pack said: ${output}`);
  return { archive: path.join(destination, packed.filename), files: packed.files.map((file) => file.path) };
}

function link(name: string, project: string): void {
  const place = path.join(project, "node_modules", name);
  mkdirSync(path.dirname(place), { recursive: true });
  symlinkSync(path.join(ROOT, "node_modules", name), place, "dir");
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function execute(file: string, args: string[], options: ExecFileOptions): Promise<string> {
  const answer = promisify(execFile)(file, args, { timeout: COMMAND_TIMEOUT_MS, ...options, encoding: "utf8" });
  const { stdout } = await answer.catch((error: { stdout?: string; stderr?: string }) => {
    throw new Error(`${path.basename(file)} ${args.join(" ")}:\n${error.stdout ?? ""}${error.stderr ?? error}`);
  });
  return stdout.trim();
}

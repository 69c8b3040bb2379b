// Rules about the code that the code itself must keep: what may import what, how long a file may be, what a comment and
// a script header must say.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { highestKey, parseHeader, usedArguments } from "../support/script-header.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = ["engine", "api", "persister", "cli", "client", "runtime", "demo", "bench", "web", "test"] as const;
const LINES_MAX = 400;
/** Files that are longer, each with the reason; empty is the aim. */
const LONGER: Record<string, string> = {};
/** Made by a program: as long as what it is made from. */
const GENERATED = "client/schema.ts";

/** What the modules of a folder may import, beside the folder itself and packages. */
const MAY_IMPORT: Record<(typeof FOLDERS)[number], (target: string, importer: string) => boolean> = {
  engine: () => false,
  api: under("engine"),
  persister: under("engine"),
  // A rebuild applies what survives of the log, which is the persister's work; an operator starts it.
  cli: (target) => under("engine", "persister/recovery")(target) || target === "runtime/data-directory.ts",
  // For browsers, too: nothing but what travels over HTTP.
  client: () => false,
  runtime: (target) => under("engine")(target) || target === "persister/migrate.ts",
  // Its load comes over HTTP; the engine is for reading the books that the proof compares.
  demo: (target, importer) =>
    (under("engine")(target) && importer.startsWith("demo/proof/")) ||
    (under("runtime")(target) && importer.startsWith("demo/instance/")),
  bench: (target) => under("test/support")(target) || target === "engine/index.ts",
  web: () => false,
  test: () => true,
};

/** Modules that may start an instance's processes: everything else must be importable without effect. */
const ENTRY = /(^|\/)main\.ts$/;

type Source = { file: string; text: string };

const sources: Source[] = FOLDERS.flatMap((folder) => filesUnder(folder, /\.(ts|tsx|mjs)$/)).map(read);
const scripts: Source[] = filesUnder("lua", /^[^/]*\.lua$/).map(read);

describe("imports", () => {
  it("point one way", () => {
    const wrong = localImports().filter(({ importer, target }) => {
      const [from, to] = [folderOf(importer), folderOf(target)];
      return from !== to && !MAY_IMPORT[from](target, importer);
    });
    expect(wrong.map(asText)).toEqual([]);
  });

  it("never name a main.ts: those only wire", () => {
    expect(
      localImports()
        .filter(({ target }) => ENTRY.test(target))
        .map(asText),
    ).toEqual([]);
  });

  it("name files that exist, with their extension", () => {
    const known = new Set(filesUnder(".", /\.(ts|tsx|mjs|json|css|svg)$/));
    expect(
      localImports()
        .filter(({ target }) => !known.has(target))
        .map(asText),
    ).toEqual([]);
  });
});

describe("source files", () => {
  it(`have at most ${LINES_MAX} lines`, () => {
    const long = [...sources, ...scripts].filter(
      ({ file, text }) => lineCount(text) > LINES_MAX && !LONGER[file] && file !== GENERATED,
    );
    expect(long.map(({ file, text }) => `${file}: ${lineCount(text)} lines`)).toEqual([]);
  });

  it("are not excused from the limit without need", () => {
    const within = sources.filter(({ file, text }) => LONGER[file] && lineCount(text) <= LINES_MAX);
    expect(within.map(({ file }) => file)).toEqual([]);
  });

  it("leave nothing to do later", () => {
    const marker = /\b(TODO|FIXME|XXX)\b/;
    expect(linesMatching(allButThis(), marker)).toEqual([]);
  });

  it("do not give up on types", () => {
    // `any` itself is the linter's to find.
    const giveUp = /@ts-(ignore|nocheck)|biome-ignore lint\/suspicious\/noExplicitAny/;
    expect(linesMatching(allButThis(), giveUp)).toEqual([]);
  });

  it("open with a comment that says what they are for, where they are modules of the product", () => {
    const product = sources.filter(({ file }) => !file.startsWith("test/") && !file.startsWith("web/"));
    expect(product.filter(({ text }) => !/^(#!.*\n)?\/[/*]/.test(text)).map(({ file }) => file)).toEqual([]);
  });
});

describe.each(scripts)("header of $file", ({ file, text }) => {
  const header = parseHeader(text);

  it("opens with the script's name and what it does", () => {
    expect(header.title).toMatch(new RegExp(`^${path.basename(file).replace(".", "\\.")}: \\S.{20,}`));
  });

  it("documents every key, and no other", () => {
    expect(header.keys).toEqual(Array.from({ length: highestKey(text) }, (_, index) => index + 1));
  });

  it("documents every argument that is read by its position", () => {
    expect(usedArguments(text).filter((position) => !header.documentsArgument(position))).toEqual([]);
  });

  it("says what is returned and which errors there are", () => {
    expect(header.sections).toEqual(expect.arrayContaining(["Returns", "Errors"]));
  });

  it("includes only files that exist", () => {
    const known = new Set(filesUnder("lua/include", /\.lua$/));
    expect(header.includes.filter((name) => !known.has(`lua/include/${name}`))).toEqual([]);
  });
});

/** This file names what it looks for. */
function allButThis(): Source[] {
  return [...sources, ...scripts].filter(({ file }) => file !== "test/unit/architecture.test.ts");
}

function localImports(): { importer: string; target: string }[] {
  const specifier = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g;
  return sources.flatMap(({ file, text }) =>
    [...text.matchAll(specifier)].map(([, target = ""]) => ({
      importer: file,
      target: path.posix.normalize(path.posix.join(path.posix.dirname(file), target.replace(/\?.*$/, ""))),
    })),
  );
}

function under(...folders: string[]): (target: string) => boolean {
  return (target) => folders.some((folder) => target.startsWith(`${folder}/`));
}

function folderOf(file: string): (typeof FOLDERS)[number] {
  return file.split("/")[0] as (typeof FOLDERS)[number];
}

function filesUnder(folder: string, pattern: RegExp): string[] {
  const skipped = /(^|\/)(node_modules|dist|results|\.[^/]+)(\/|$)/;
  let names: string[];
  try {
    names = readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // a folder that is not there yet
    throw error;
  }
  return names
    .filter((name) => !skipped.test(name) && pattern.test(name))
    .map((name) => path.posix.join(folder, name))
    .sort();
}

function read(file: string): Source {
  return { file, text: readFileSync(path.join(ROOT, file), "utf8") };
}

function lineCount(text: string): number {
  return text.trimEnd().split("\n").length;
}

function linesMatching(files: Source[], pattern: RegExp): string[] {
  return files.flatMap(({ file, text }) =>
    text.split("\n").flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
}

function asText({ importer, target }: { importer: string; target: string }): string {
  return `${importer} imports ${target}`;
}

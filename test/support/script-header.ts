// Reads the header of a Lua script, the comment block that it opens with (after a `#!lua` line, if any):
//
//   -- place.lua: one sentence.
//   -- KEYS[1]  meta   hash      what
//   -- ARGV[1]  epoch  integer   what
//   -- ARGV[7..]  repeated group ...
//   -- Returns: ...
//   -- Errors: ...
//   -- @include clock.lua

export type ScriptHeader = {
  title: string;
  /** Positions of the documented keys, in the order in which they are listed. */
  keys: number[];
  documentsArgument(position: number): boolean;
  /** `Returns`, `Errors`, ... */
  sections: string[];
  includes: string[];
};

export function parseHeader(script: string): ScriptHeader {
  const lines = headerLines(script);
  const argumentRanges = allMatches(lines, /^ARGV\[(\d+)(?:\.\.(\d*))?\]\s+\S/).map(([, from, to]) => ({
    from: Number(from),
    to: to === undefined ? Number(from) : to === "" ? Number.POSITIVE_INFINITY : Number(to),
  }));
  return {
    title: lines[0] ?? "",
    keys: allMatches(lines, /^KEYS\[(\d+)\]\s+\S/).map(([, position]) => Number(position)),
    documentsArgument: (position) => argumentRanges.some(({ from, to }) => position >= from && position <= to),
    sections: allMatches(lines, /^([A-Z][a-z]+):\s*\S/).map(([, name]) => name ?? ""),
    includes: allMatches(lines, /^@include (\S+)/).map(([, name]) => name ?? ""),
  };
}

/** The highest KEYS[n] that the code (not its comments) names; 0 when none. */
export function highestKey(script: string): number {
  return Math.max(0, ...positions(script, /\bKEYS\[(\d+)\]/g));
}

/** The positions n of every ARGV[n] that the code names by number. */
export function usedArguments(script: string): number[] {
  return [...new Set(positions(script, /\bARGV\[(\d+)\]/g))].sort((a, b) => a - b);
}

function headerLines(script: string): string[] {
  const lines = script.replace(/^#!.*\n/, "").split("\n");
  const end = lines.findIndex((line) => !line.startsWith("--"));
  return lines.slice(0, end === -1 ? lines.length : end).map((line) => line.replace(/^-- ?/, ""));
}

function positions(script: string, pattern: RegExp): number[] {
  const code = script.replace(/--.*$/gm, "");
  return [...code.matchAll(pattern)].map(([, position]) => Number(position));
}

function allMatches(lines: string[], pattern: RegExp): RegExpMatchArray[] {
  return lines.map((line) => line.match(pattern)).filter((match) => match !== null);
}

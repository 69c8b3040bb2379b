// The mutants of `npm run chaos:mutants` are edits of sources: each must still fit, and must name faults that exist.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { FAULTS } from "../../chaos/faults/catalogue.ts";
import { MUTANTS } from "../../chaos/mutants/mutants.ts";
import { mutatedTree } from "../../chaos/mutants/tree.ts";

describe.each(MUTANTS)("mutant $name", ({ edits, faults }) => {
  it("applies to the sources as they are", () => {
    const tree = mutatedTree(edits);
    try {
      for (const { file, replace } of edits) {
        expect(readFileSync(path.join(tree.folder, file), "utf8")).toContain(replace);
      }
    } finally {
      tree.remove();
    }
  });

  it("is judged by faults that there are", () => {
    expect(FAULTS.map(({ name }) => name)).toEqual(expect.arrayContaining([...faults]));
  });
});

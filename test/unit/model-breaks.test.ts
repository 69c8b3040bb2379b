// The breaks of `npm run model -- --breaks` are edits of sources: each must still fit.
import { expect, it } from "vitest";
import { mutatedTree } from "../chaos/mutants/tree.ts";
import { BREAKS } from "../model/breaks.ts";

it.each(BREAKS)("break $name applies to the sources as they are", ({ edits }) => {
  const tree = mutatedTree(edits);
  tree.remove();
  expect(edits.every(({ find, replace }) => find !== replace)).toBe(true);
});

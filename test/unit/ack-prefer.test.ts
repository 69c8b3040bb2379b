// Prefer: wait=N as RFC 7240 writes it, and everything that is not that.
import { expect, it } from "vitest";
import { readWaitSeconds } from "../../api/orders/prefer.ts";

const read = (prefer: string) => readWaitSeconds(new Headers({ prefer }).get("prefer"));

it.each([
  ["wait=5", 5],
  ["WAIT=5", 5],
  ['wait="7"', 7],
  [" wait = 3 ", 3],
  ["respond-async, wait=10", 10],
  ["wait=10;foo=bar, respond-async", 10],
  ['note="wait=2, or not", wait=4', 4],
  ["wait=1", 1],
  ["wait=31", 30],
  ["wait=999999999", 30],
  ["wait=5, wait=9", 5],
])("reads %j", (prefer, seconds) => {
  expect(read(prefer)).toBe(seconds);
});

it.each([
  "",
  "wait",
  "wait=",
  "wait=0",
  "wait=-1",
  "wait=1.5",
  "wait=5s",
  "wait=1e3",
  "wait=5 6",
  "wait=9999999999999",
  'wait="5',
  "await=5",
  "wait-more=5",
  'note="wait=5"',
  "x;wait=5",
  "wait=x, wait=5",
  `${"x,".repeat(200)}wait=5`,
])("takes no wish from %j", (prefer) => {
  expect(read(prefer)).toBeUndefined();
});

it("takes none from no header", () => {
  expect(readWaitSeconds(new Headers().get("prefer"))).toBeUndefined();
});

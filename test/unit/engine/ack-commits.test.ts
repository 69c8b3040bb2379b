// Waiting for commits over a database that the test plays.
import { afterEach, expect, it, vi } from "vitest";
import { CommitWaiter, type CommitWaitOptions } from "../../../engine/durability/commits.ts";
import type { Queryable } from "../../../engine/ledger/database.ts";

const waiters: CommitWaiter[] = [];
afterEach(() => {
  for (const waiter of waiters.splice(0)) waiter.stop();
});

/** What is committed, and every list of ids that was asked for. */
function ledger(options: Partial<CommitWaitOptions> = {}) {
  const committed = new Map<string, string>();
  const asked: string[][] = [];
  const errors: unknown[] = [];
  let failing = 0;
  const db = {
    query: async ({ values: [ids] }: { values: [string[]] }) => {
      asked.push(ids);
      if (failing > 0) {
        failing -= 1;
        throw new Error("away");
      }
      return { rows: ids.filter((id) => committed.has(id)).map((id) => ({ id, status: committed.get(id) })) };
    },
  } as unknown as Queryable;
  const waiter = new CommitWaiter(db, (error) => errors.push(error), { pollMs: 5, ...options });
  waiters.push(waiter);
  return {
    waiter,
    committed,
    asked,
    errors,
    failNext: (times: number) => {
      failing = times;
    },
  };
}

const message = (id: string, status = "RESERVED") => JSON.stringify([{ id, version: 2, status }]);

it("is told by the event, without a question", async () => {
  const { waiter, asked } = ledger({ pollMs: 60_000 });
  const waits = [waiter.wait("a", 60_000), waiter.wait("a", 60_000), waiter.wait("b", 60_000)];
  waiter.hear(message("a"));
  waiter.hear(message("b", "CANCELLED"));
  waiter.hear("not json");
  expect(await Promise.all(waits)).toEqual(["RESERVED", "RESERVED", "CANCELLED"]);
  expect(asked).toEqual([]);
  expect(waiter.waiting).toBe(0);
});

it("asks for all that wait together when the event is lost", async () => {
  const { waiter, committed, asked } = ledger();
  const ids = Array.from({ length: 500 }, (_, i) => `order-${i}`);
  for (const id of ids) committed.set(id, "PAYING");
  const statuses = await Promise.all(ids.map((id) => waiter.wait(id, 60_000)));
  expect(new Set(statuses)).toEqual(new Set(["PAYING"]));
  expect(asked.flat()).toEqual(ids);
  // What had not waited long enough for the first statement is in the second.
  expect(asked.length).toBeLessThanOrEqual(2);
});

it("asks in parts of a bounded size, and for none of them for ever", async () => {
  const { waiter, committed, asked } = ledger({ idsPerPollMax: 2 });
  const waits = ["a", "b", "c"].map((id) => waiter.wait(id, 60_000));
  await vi.waitFor(() => expect(asked.slice(0, 2)).toEqual([["a", "b"], ["c"]]));
  committed.set("c", "RESERVED");
  expect(await waits[2]).toBe("RESERVED");
});

it("ends at the deadline with nothing, and stops to ask", async () => {
  const { waiter, asked } = ledger();
  expect(await waiter.wait("a", 30)).toBeUndefined();
  const questions = asked.length;
  await vi.waitFor(() => expect(waiter.waiting).toBe(0));
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(asked.length - questions).toBeLessThanOrEqual(1);
});

it("asks again when the question failed, and tells of it", async () => {
  const { waiter, committed, errors, failNext } = ledger();
  committed.set("a", "RESERVED");
  failNext(2);
  expect(await waiter.wait("a", 60_000)).toBe("RESERVED");
  expect(errors).toHaveLength(2);
});

it("waits for no more than it may, and for nobody once it is stopped", async () => {
  const { waiter } = ledger({ waitingMax: 1, pollMs: 60_000 });
  const first = waiter.wait("a", 60_000);
  expect(waiter.mayWait).toBe(false);
  expect(await waiter.wait("b", 60_000)).toBeUndefined();
  waiter.stop();
  expect(await first).toBeUndefined();
  expect(await waiter.wait("c", 60_000)).toBeUndefined();
});

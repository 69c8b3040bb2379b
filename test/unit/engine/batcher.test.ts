import { describe, expect, it } from "vitest";
import { Batcher, BatcherFullError, type BatcherOptions } from "../../../engine/admission/batcher.ts";

/** A batcher whose batches end when the test says so. */
function heldBatcher(options: Partial<BatcherOptions<number, string>> = {}) {
  const batches: { items: readonly number[]; end(): void; fail(error: Error): void }[] = [];
  const batcher = new Batcher<number, string>({
    execute: (items) =>
      new Promise((resolve, reject) => {
        batches.push({ items, end: () => resolve(items.map((item) => `r${item}`)), fail: reject });
      }),
    weightOf: () => 1,
    itemsMax: 100,
    weightMax: 100,
    inFlightMax: 1,
    waitingMax: 100,
    ...options,
  });
  return { batcher, batches, items: () => batches.map((batch) => batch.items) };
}
/** Lets everything happen that is due: what ends now may schedule a batch for the turn after this one. */
const turn = async () => {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
};
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("a batcher", () => {
  it("sends what was submitted in one turn of the event loop as one batch, in order, and gives each its own result", async () => {
    const { batcher, batches, items } = heldBatcher();
    const results = Promise.all(range(1, 5).map((n) => batcher.submit(n)));
    expect(items()).toEqual([]);
    await turn();
    expect(items()).toEqual([range(1, 5)]);
    batches[0]?.end();
    expect(await results).toEqual(["r1", "r2", "r3", "r4", "r5"]);
  });

  it("gathers what comes while a batch is out, and sends it as one when that has ended", async () => {
    const { batcher, batches, items } = heldBatcher();
    void batcher.submit(1);
    await turn();
    for (const n of range(2, 4)) {
      void batcher.submit(n);
      await turn();
    }
    expect(items()).toEqual([[1]]);
    expect(batcher.waiting).toBe(3);
    batches[0]?.end();
    await turn();
    expect(items()).toEqual([[1], [2, 3, 4]]);
    expect(batcher.waiting).toBe(0);
  });

  it("has at most inFlightMax batches out", async () => {
    const { batcher, batches, items } = heldBatcher({ inFlightMax: 2, itemsMax: 2 });
    for (const n of range(1, 7)) void batcher.submit(n);
    await turn();
    expect(items()).toEqual([range(1, 2), range(3, 4)]);
    batches[1]?.end();
    await turn();
    expect(items()).toEqual([range(1, 2), range(3, 4), range(5, 6)]);
    batches[0]?.end();
    batches[2]?.end();
    await turn();
    expect(items().at(-1)).toEqual([7]);
  });

  it("cuts batches at itemsMax", async () => {
    const { batcher, items } = heldBatcher({ itemsMax: 3, inFlightMax: 9 });
    for (const n of range(1, 7)) void batcher.submit(n);
    await turn();
    expect(items()).toEqual([range(1, 3), range(4, 6), [7]]);
  });

  it("cuts batches at weightMax, keeping the order, and sends one that is heavier by itself", async () => {
    const { batcher, items } = heldBatcher({ weightOf: (n) => n, weightMax: 10, inFlightMax: 9 });
    for (const n of [4, 6, 1, 50, 2, 9, 1]) void batcher.submit(n);
    await turn();
    expect(items()).toEqual([[4, 6], [1], [50], [2], [9, 1]]);
  });

  it("refuses what comes when waitingMax wait, and takes more when they have left", async () => {
    const { batcher, batches, items } = heldBatcher({ waitingMax: 2 });
    void batcher.submit(1);
    await turn();
    const waiting = [batcher.submit(2), batcher.submit(3)];
    await expect(batcher.submit(4)).rejects.toBeInstanceOf(BatcherFullError);
    batches[0]?.end();
    await turn();
    batches[1]?.end();
    expect(await Promise.all(waiting)).toEqual(["r2", "r3"]);
    void batcher.submit(5);
    await turn();
    expect(items()).toEqual([[1], [2, 3], [5]]);
  });

  it("fails every item of a batch that fails, and goes on with the next", async () => {
    const { batcher, batches, items } = heldBatcher({ itemsMax: 2 });
    const results = Promise.allSettled(range(1, 3).map((n) => batcher.submit(n)));
    await turn();
    const error = new Error("no answer");
    batches[0]?.fail(error);
    await expect.poll(items).toHaveLength(2);
    batches[1]?.end();
    expect(await results).toEqual([
      { status: "rejected", reason: error },
      { status: "rejected", reason: error },
      { status: "fulfilled", value: "r3" },
    ]);
  });

  it("fails the items of a batch whose results do not match them in number", async () => {
    const { batcher } = heldBatcher({ execute: async () => ["only one"] });
    const results = await Promise.allSettled([batcher.submit(1), batcher.submit(2)]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  it("fails the items, and only them, of a batch that could not even be begun", async () => {
    let calls = 0;
    const { batcher } = heldBatcher({
      execute: (items) => {
        calls += 1;
        if (calls === 1) throw new Error("not begun");
        return Promise.resolve(items.map((item) => `r${item}`));
      },
    });
    await expect(batcher.submit(1)).rejects.toThrow("not begun");
    expect(await batcher.submit(2)).toBe("r2");
  });
});

// Look-ups of one thing each, gathered into look-ups of many: what is asked for within a few milliseconds shares a call.

export interface BatchOptions {
  /** How long a first request waits for others. */
  readonly gatherMs: number;
  readonly perBatchMax: number;
  /** Batches under way at once. */
  readonly batchesMax: number;
}

interface Waiting<T> {
  readonly promise: Promise<T | undefined>;
  resolve(value: T | undefined): void;
  reject(error: unknown): void;
}

/** Makes a look-up of one out of one of many; two that ask for the same at the same time share the answer. */
export function batched<T>(
  read: (ids: readonly string[]) => Promise<ReadonlyMap<string, T>>,
  { gatherMs, perBatchMax, batchesMax }: BatchOptions,
): (id: string) => Promise<T | undefined> {
  const waiting = new Map<string, Waiting<T>>();
  let timer: NodeJS.Timeout | undefined;
  let running = 0;

  const schedule = () => {
    if (timer !== undefined || running >= batchesMax || waiting.size === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      void run();
    }, gatherMs);
  };
  const run = async () => {
    const batch = [...waiting].slice(0, perBatchMax);
    for (const [id] of batch) waiting.delete(id);
    running += 1;
    schedule();
    try {
      const found = await read(batch.map(([id]) => id));
      for (const [id, { resolve }] of batch) resolve(found.get(id));
    } catch (error) {
      for (const [, { reject }] of batch) reject(error);
    } finally {
      running -= 1;
      schedule();
    }
  };
  return (id) => {
    let entry = waiting.get(id);
    if (!entry) {
      entry = Promise.withResolvers<T | undefined>();
      waiting.set(id, entry);
      schedule();
    }
    return entry.promise;
  };
}

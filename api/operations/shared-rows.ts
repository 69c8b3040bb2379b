// Rows that several metrics of one scrape are made of, read once for all of them.

/** How old what is shared may be. */
const AGE_MS_MAX = 500;

/** @returns what was read just now; `undefined` while it cannot be read: the scrape is answered all the same, without it */
export function sharedRows<Rows>(read: () => Promise<Rows>): () => Promise<Rows | undefined> {
  let last: { readonly atMs: number; readonly rows: Promise<Rows | undefined> } | undefined;
  return () => {
    if (!last || performance.now() - last.atMs > AGE_MS_MAX) {
      last = { atMs: performance.now(), rows: read().catch(() => undefined) };
    }
    return last.rows;
  };
}

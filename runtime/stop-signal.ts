// SIGINT and SIGTERM, as a person means them. One Ctrl-C can arrive several times: from the terminal, and passed on by npm
// and the set-up script. What arrives within a second of the first is the same wish; what comes later is impatience.
const SAME_WISH_MS = 1_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Returns how to stop listening. */
export function onStopSignal(on: { first(): void; again(): void }): () => void {
  let firstAt: number | undefined;
  const listener = () => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      on.first();
    } else if (now - firstAt > SAME_WISH_MS) on.again();
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
}

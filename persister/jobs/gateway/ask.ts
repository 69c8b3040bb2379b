// Asking a gateway with a time limit. Whatever it does, hang, throw or answer late, the caller has a word for it in time.

/** Nothing was heard, or nothing that says anything. */
export interface Unheard {
  readonly type: "unknown";
  readonly code: string;
}

/** Resolves to the call's answer or to `unknown`. The race, and not the signal alone, ends it: a gateway may ignore it. */
export async function ask<T>(timeoutMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T | Unheard> {
  const patience = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Unheard>((resolve) => {
    timer = setTimeout(() => {
      resolve({ type: "unknown", code: "timeout" });
      patience.abort(new Error("the gateway did not answer in time"));
    }, timeoutMs);
  });
  const answer = call(patience.signal).catch((error: unknown): Unheard => ({ type: "unknown", code: codeOf(error) }));
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** A word for an error; never its message, which could quote the request. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code.slice(0, 64) : "gateway_error";
}

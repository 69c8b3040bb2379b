// Requests at a fixed rate, and how long each took from when it was due. Autocannon's own rate gives every connection its
// share of a second at once at the second's start, which measures bursts; here the shares are spread evenly. A connection
// that is still busy when its next request is due sends it late, and the wait counts: a slow server cannot hide by
// being asked less. That a timer fires late is the generator's own doing and does not count.
import type autocannon from "autocannon";

export interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Pacer {
  attach(client: autocannon.Client): void;
  latencies(): Latencies;
}

/** @param warmUpMs samples of the first moments are not counted */
export function pacer(connections: number, requestsPerSecond: number, warmUpMs: number): Pacer {
  const intervalMs = (connections / requestsPerSecond) * 1_000;
  const startAt = performance.now();
  const samples: number[] = [];
  let attached = 0;
  return {
    attach(client) {
      const send = client._doRequest.bind(client);
      let dueAt = startAt + (attached * intervalMs) / connections;
      let lateMs = 0;
      attached += 1;
      client._doRequest = () => {
        const waitMs = dueAt - performance.now();
        lateMs = Math.max(0, -waitMs);
        dueAt += intervalMs;
        if (waitMs <= 0) send();
        else setTimeout(send, waitMs).unref();
      };
      client.on("response", (_status: number, _bytes: number, tookMs: number) => {
        if (performance.now() - startAt > warmUpMs) samples.push(tookMs + lateMs);
      });
    },
    latencies() {
      const sorted = samples.toSorted((a, b) => a - b);
      const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
      return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
    },
  };
}

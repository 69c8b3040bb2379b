// The part of autocannon 9 that the benchmark uses; the package ships no types.
declare module "autocannon" {
  import type { EventEmitter } from "node:events";

  namespace autocannon {
    interface Client extends EventEmitter {
      /** What is written to the socket for the next request. */
      getRequestBuffer: () => Buffer | string;
      /** Sends the next request; called at the start and after each answer. */
      _doRequest: () => void;
    }
    interface Options {
      url: string;
      connections: number;
      /** Seconds. */
      duration: number;
      /** Seconds. */
      timeout?: number;
      requests: readonly { method: "POST"; path: string; headers: Record<string, string>; body: string }[];
      setupClient?: (client: Client) => void;
    }
    interface Result {
      /** Seconds, as measured. */
      duration: number;
      errors: number;
      timeouts: number;
      statusCodeStats: Record<string, { count: number }>;
    }
  }
  function autocannon(options: autocannon.Options): PromiseLike<autocannon.Result>;
  export = autocannon;
}

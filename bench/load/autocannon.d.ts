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
      /** Requests in all, instead of a duration. */
      amount?: number;
      /** Milliseconds between two looks at whether it is over. */
      sampleInt?: number;
      /** Seconds. */
      timeout?: number;
      requests: readonly { method: "POST"; path: string; headers: Record<string, string>; body: string }[];
      setupClient?: (client: Client) => void;
    }
    interface Result {
      errors: number;
      timeouts: number;
      statusCodeStats: Record<string, { count: number }>;
    }
    interface Run extends PromiseLike<Result> {
      stop(): void;
    }
  }
  function autocannon(options: autocannon.Options): autocannon.Run;
  export = autocannon;
}

// Requests at a fixed rate, whatever becomes of those before them (an open loop), and how long each took from when it was
// due. A request whose time has come goes out on whichever connection is free; when none is, it waits its turn, and the wait
// counts: a slow server cannot hide by being asked less. So does a timer of the generator's that fires late, which is also
// told by itself, as `lag`: where it is not small against the latencies, the generator is what was measured.
//
// Autocannon's own rate gives every connection its share of a second at once at the second's start, which measures bursts.
import type autocannon from "autocannon";
import { type Latencies, latencyRecorder } from "./latencies.ts";

export interface Schedule {
  readonly requestsPerSecond: number;
  readonly seconds: number;
  /** Requests that are due in the first moments are sent and not counted. */
  readonly warmUpMs: number;
}

export interface Pace {
  readonly latencies: Latencies;
  /** From when a request was due, and a connection free for it, until it was written. */
  readonly lag: Latencies;
  /** Requests that were due and not answered when the generator gave up; each counts as long as it had waited by then. */
  readonly unanswered: number;
  /** Requests whose connection ended under them. */
  readonly broken: number;
  /** From the first request's time to the last answer. */
  readonly seconds: number;
}

/** What a pacer needs of an autocannon client. */
export type Connection = Pick<autocannon.Client, "_doRequest" | "on">;

export interface Pacer {
  attach(connection: Connection): void;
  /** Begins; resolves when every request is answered. */
  run(): Promise<void>;
  /** Nothing is sent or counted any more. */
  end(): Pace;
}

/** For the connections to be made. */
const CONNECT_MS = 200;
const TICK_MS = 1;

export function pacer({ requestsPerSecond, seconds, warmUpMs }: Schedule): Pacer {
  const total = Math.round(requestsPerSecond * seconds);
  const startAt = performance.now() + CONNECT_MS;
  const dueAt = (request: number) => startAt + (request / requestsPerSecond) * 1_000;
  const [took, lag] = [latencyRecorder(), latencyRecorder()];
  /** When each waiting connection became free, oldest first, and when the request of each busy one was due. */
  const free = new Map<Connection, { send: () => void; since: number }>();
  const busy = new Map<Connection, number>();
  const done = Promise.withResolvers<void>();
  let [sent, answered, broken, lastAnswerAt] = [0, 0, 0, startAt];

  const count = (due: number, now: number) => {
    if (due >= startAt + warmUpMs) took.record(now - due);
  };
  const sendDue = () => {
    for (const [connection, { send, since }] of free) {
      const now = performance.now();
      const due = dueAt(sent);
      if (sent >= total || due > now) return;
      sent += 1;
      free.delete(connection);
      busy.set(connection, due);
      if (due >= startAt + warmUpMs) lag.record(now - Math.max(due, since));
      send();
    }
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    attach(connection) {
      const send = connection._doRequest.bind(connection);
      connection._doRequest = () => {
        if (busy.delete(connection)) broken += 1;
        free.set(connection, { send, since: performance.now() });
        if (timer) sendDue();
      };
      connection.on("response", () => {
        const due = busy.get(connection);
        if (due === undefined) return;
        busy.delete(connection);
        answered += 1;
        lastAnswerAt = performance.now();
        count(due, lastAnswerAt);
        if (answered + broken === total) done.resolve();
      });
    },
    run() {
      timer = setInterval(sendDue, TICK_MS);
      return done.promise;
    },
    end() {
      clearInterval(timer);
      timer = undefined;
      const now = performance.now();
      const waiting = [...busy.values()];
      for (let request = sent; request < total && dueAt(request) <= now; request += 1) waiting.push(dueAt(request));
      for (const due of waiting) count(due, now);
      const unanswered = waiting.length;
      busy.clear();
      return {
        latencies: took.latencies(),
        lag: lag.latencies(),
        unanswered,
        broken,
        seconds: (lastAnswerAt - startAt) / 1_000,
      };
    },
  };
}

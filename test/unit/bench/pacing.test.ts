// An open loop: requests are due by the clock, whatever became of those before them, and are timed from then.
import { EventEmitter } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type Connection, pacer } from "../../../bench/load/pacing.ts";

/** A connection whose answers come when they are let go, as autocannon's client tells them. */
class SlowConnection extends EventEmitter {
  waiting = 0;
  sent = 0;
  _doRequest = (): void => {
    this.waiting += 1;
    this.sent += 1;
  };

  answer(): void {
    this.waiting -= 1;
    this.emit("response", 202, 100, 0);
    this._doRequest();
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await delay(1);
}

function connect(pace: { attach(connection: Connection): void }): SlowConnection {
  const connection = new SlowConnection();
  pace.attach(connection as unknown as Connection);
  connection._doRequest(); // as a client does once it is connected
  return connection;
}

describe("requests at a fixed rate", () => {
  it("wait for a free connection, and the wait counts", async () => {
    const pace = pacer({ requestsPerSecond: 200, seconds: 0.1, warmUpMs: 0 });
    const connection = connect(pace);
    const done = pace.run();
    await until(() => connection.sent === 1);
    const stalledMs = 300; // all twenty are due long before the first is answered
    await delay(stalledMs);
    expect(connection.sent).toBe(1);
    for (let answered = 0; answered < 20; answered += 1) connection.answer();
    await done;
    const { latencies, lag, unanswered, broken } = pace.end();
    expect(latencies.samples).toBe(20);
    // The last was due 95 ms after the first, and waited for what was left of the stall.
    expect(latencies.p50Ms).toBeGreaterThan(stalledMs - 100);
    expect(latencies.maxMs).toBeGreaterThanOrEqual(stalledMs - 1);
    // That was the server's doing, not the generator's.
    expect(lag.samples).toBe(20);
    expect(lag.p50Ms).toBeLessThan(latencies.p50Ms / 2);
    expect({ unanswered, broken }).toEqual({ unanswered: 0, broken: 0 });
  });

  it("go out on another connection while one is busy", async () => {
    const pace = pacer({ requestsPerSecond: 500, seconds: 0.02, warmUpMs: 0 });
    const [stuck, free] = [connect(pace), connect(pace)];
    free._doRequest = (
      (next) => () =>
        next()
    )(free._doRequest);
    const done = pace.run();
    await until(() => stuck.waiting === 1);
    for (let answered = 0; answered < 9; answered += 1) {
      await until(() => free.waiting === 1);
      free.answer();
    }
    expect(stuck.sent).toBe(1);
    stuck.answer();
    await done;
    expect(pace.end().latencies.samples).toBe(10);
  });

  it("that are never answered count as long as they waited", async () => {
    const pace = pacer({ requestsPerSecond: 1_000, seconds: 0.01, warmUpMs: 0 });
    const connection = connect(pace);
    void pace.run();
    await until(() => connection.sent === 1);
    await delay(50);
    const { latencies, unanswered } = pace.end();
    expect(unanswered).toBe(10);
    expect(latencies.samples).toBe(10);
    expect(latencies.p50Ms).toBeGreaterThan(30);
  });
});

// The load generator's process: bursts of orders by autocannon, one after the other. One process for a whole run, so that
// its code is compiled when it counts.
import autocannon from "autocannon";
import { onOrder, report } from "../own-process.ts";
import { crowdWriter, type Order, orderBody, type Regular, requestWriter } from "./order-request.ts";
import { type Pace, pacer } from "./pacing.ts";

export interface BurstOrder {
  readonly url: string;
  readonly order: Order;
  readonly keyed: boolean;
  /** Who orders, in turn, always with a key; a new guest each time when absent. */
  readonly crowd?: readonly Regular[] | undefined;
  /** What is measured; the moments before, in which connections are made, are not. */
  readonly seconds: number;
  readonly connections: number;
  /** Eight hexadecimal digits that make this burst's buyers its own. */
  readonly burst: string;
  /** Requests per second; as fast as the answers come when absent. */
  readonly rate?: number | undefined;
  /** Requests in all, each of them measured, instead of `seconds`. */
  readonly requests?: number | undefined;
}

export interface BurstReport {
  readonly sent: number;
  /** Answers by HTTP status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that broke, and requests that timed out. */
  readonly errors: number;
  /** Answers that were measured, and the time that they took together. */
  readonly measured: number;
  readonly seconds: number;
  /** Over the whole burst. */
  readonly cpuSeconds: number;
  readonly cpuShare: number;
  /** At a fixed rate only: without one, an answer's time is the time it queued. */
  readonly pace?: Pace;
}

const REQUEST_TIMEOUT_S = 20;
const WARM_UP_MS = 300;
/** At a fixed rate: the first quarter of the time, at most a second. */
const PACED_WARM_UP = { share: 0.25, msMax: 1_000 };
/** What is unanswered this long after the last request of a schedule was due is given up. */
const GIVE_UP_S = 10;
const SAMPLE_MS = 50;

onOrder<BurstOrder>(async (order) => report(await run(order)));

async function run(order: BurstOrder): Promise<BurstReport> {
  const { url, crowd, seconds, connections, burst, rate, requests } = order;
  const target = new URL(url);
  const write = crowd
    ? crowdWriter(target, order.order, crowd, burst)
    : requestWriter(target, order.order, order.keyed, burst);
  const warmUpMs = Math.min(PACED_WARM_UP.msMax, seconds * 1_000 * PACED_WARM_UP.share);
  const pace = rate === undefined ? undefined : pacer({ requestsPerSecond: rate, seconds, warmUpMs });
  const startedAt = performance.now();
  const countsFrom = requests === undefined ? startedAt + WARM_UP_MS : startedAt;
  let [sent, measured, lastAt] = [0, 0, countsFrom];
  const cpuBefore = process.cpuUsage();
  const burstRun = autocannon({
    url: target.origin,
    connections,
    duration: pace ? seconds + GIVE_UP_S : seconds + WARM_UP_MS / 1_000,
    ...(requests !== undefined && { amount: requests }),
    sampleInt: SAMPLE_MS,
    timeout: REQUEST_TIMEOUT_S,
    requests: [{ method: "POST", path: target.pathname, headers: {}, body: orderBody(order.order) }],
    setupClient: (client) => {
      client.getRequestBuffer = () => {
        sent += 1;
        return write();
      };
      pace?.attach(client);
      client.on("response", () => {
        const now = performance.now();
        if (now < countsFrom) return;
        measured += 1;
        lastAt = now;
      });
    },
  });
  void pace?.run().then(() => burstRun.stop());
  const result = await burstRun;
  const ended = pace?.end();
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const statuses = Object.entries(result.statusCodeStats).map(([status, { count }]) => [status, count] as const);
  const answered = statuses.reduce((sum, [, count]) => sum + count, 0);
  return {
    sent,
    statuses: Object.fromEntries(statuses),
    errors: result.errors + (ended?.broken ?? 0),
    measured: ended ? answered : measured,
    seconds: ended?.seconds ?? (lastAt - countsFrom) / 1_000,
    cpuSeconds,
    cpuShare: cpuSeconds / ((performance.now() - startedAt) / 1_000),
    ...(ended && { pace: ended }),
  };
}

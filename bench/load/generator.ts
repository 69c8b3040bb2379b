// The load generator's process: bursts of orders by autocannon, one after the other. One process for a whole run, so that
// its code is compiled when it counts.
import autocannon from "autocannon";
import { onOrder, report } from "../own-process.ts";
import { crowdWriter, type Order, orderBody, type Regular, requestWriter } from "./order-request.ts";
import { type Latencies, pacer } from "./pacing.ts";

export interface BurstOrder {
  readonly url: string;
  readonly order: Order;
  readonly keyed: boolean;
  /** Who orders, in turn, always with a key; a new guest each time when absent. */
  readonly crowd?: readonly Regular[] | undefined;
  readonly seconds: number;
  readonly connections: number;
  /** Eight hexadecimal digits that make this burst's buyers its own. */
  readonly burst: string;
  /** Requests per second; as fast as the answers come when absent. */
  readonly rate?: number | undefined;
}

export interface BurstReport {
  readonly sent: number;
  /** Answers by HTTP status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that broke, and requests that timed out. */
  readonly errors: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** At a fixed rate only: without one, an answer's time is the time it queued. */
  readonly latencies?: Latencies;
}

const REQUEST_TIMEOUT_S = 20;
const PACING_WARM_UP_MS = 1_000;

onOrder<BurstOrder>(async (order) => report(await run(order)));

async function run({ url, order, keyed, crowd, seconds, connections, burst, rate }: BurstOrder): Promise<BurstReport> {
  const target = new URL(url);
  const write = crowd ? crowdWriter(target, order, crowd, burst) : requestWriter(target, order, keyed, burst);
  const pace = rate === undefined ? undefined : pacer(connections, rate, PACING_WARM_UP_MS);
  let sent = 0;
  const cpuBefore = process.cpuUsage();
  const result = await autocannon({
    url: target.origin,
    connections,
    duration: seconds,
    timeout: REQUEST_TIMEOUT_S,
    requests: [{ method: "POST", path: target.pathname, headers: {}, body: orderBody(order) }],
    setupClient: (client) => {
      client.getRequestBuffer = () => {
        sent += 1;
        return write();
      };
      pace?.attach(client);
    },
  });
  const cpu = process.cpuUsage(cpuBefore);
  const statuses = Object.entries(result.statusCodeStats).map(([status, { count }]) => [status, count] as const);
  return {
    sent,
    statuses: Object.fromEntries(statuses),
    errors: result.errors,
    seconds: result.duration,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    ...(pace && { latencies: pace.latencies() }),
  };
}

// What the status server counts, and how Prometheus sees it. Plain numbers: an event to ten thousand sockets adds to one.
import { Counter, Gauge, type Registry } from "prom-client";

/** Why a socket was closed by the server. */
export const CLOSE_CAUSES = ["slow", "dead", "token_expired", "flood", "binary", "stopping"] as const;
export type CloseCause = (typeof CLOSE_CAUSES)[number];

export class StatusCounters {
  connected = 0;
  subscribed = 0;
  /** Messages written to sockets. */
  sent = 0;
  /** Times that a socket fell behind on a channel, and got the newest state later. */
  skipped = 0;
  readonly closed: Record<CloseCause, number> = {
    slow: 0,
    dead: 0,
    token_expired: 0,
    flood: 0,
    binary: 0,
    stopping: 0,
  };
}

/** Adds the counters to what is scraped. */
export function exposeStatusCounters(registry: Registry, counters: StatusCounters): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  gauge("onrush_ws_connections", "Sockets that are connected", () => counters.connected);
  gauge("onrush_ws_subscriptions", "Channels that sockets watch", () => counters.subscribed);
  counter("onrush_ws_messages_sent_total", "Messages sent to sockets", () => counters.sent);
  counter("onrush_ws_behind_total", "Times a slow socket skipped states", () => counters.skipped);
  new Counter({
    name: "onrush_ws_closed_total",
    help: "Sockets closed by the server, by cause",
    labelNames: ["cause"] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const cause of CLOSE_CAUSES) this.inc({ cause }, counters.closed[cause]);
    },
  });
}

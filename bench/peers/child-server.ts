// A peer's app on a free port of 127.0.0.1, which the benchmark is told.
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import type { Hono } from "hono";
import { report } from "../own-process.ts";

export function serveApp(app: Hono): void {
  serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }: AddressInfo) => {
    report({ url: `http://127.0.0.1:${port}/orders` });
  });
}

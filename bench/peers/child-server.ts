// A peer's app on a free port of 127.0.0.1, which the benchmark is told.
import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { report } from "../own-process.ts";
import type { OrderBody } from "./order.ts";

/** BUSY: nothing was decided, the buyer may try again. */
export type PeerVerdict = "ACCEPTED" | "SOLD_OUT" | "BUSY";

/** Serves orders as `place` decides them; its failure is a 500, and nobody's promise. */
export function serveOrders(place: (id: string, body: OrderBody) => Promise<PeerVerdict>): void {
  const app = new Hono();
  app.onError((_error, c) => c.json({ code: "INTERNAL_ERROR" }, 500));
  app.post("/orders", async (c) => {
    const body = await c.req.json<OrderBody>();
    const orderTrackingId = randomUUID();
    const verdict = await place(orderTrackingId, body);
    if (verdict === "ACCEPTED") return c.json({ orderTrackingId, status: "PENDING", ...body }, 202);
    return c.json({ code: verdict }, verdict === "SOLD_OUT" ? 409 : 503);
  });
  serveApp(app);
}

export function serveApp(app: Hono): void {
  serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }: AddressInfo) => {
    report({ url: `http://127.0.0.1:${port}/orders` });
  });
}

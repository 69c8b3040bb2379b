// The most that any API on this stack could do: Hono parses the same body, and answers 202 with JSON of the same size.
import { Hono } from "hono";
import { onOrder } from "../own-process.ts";
import { serveApp } from "../peers/child-server.ts";

onOrder<{ answerBytes: number }>(({ answerBytes }) => {
  const empty = JSON.stringify({ orderTrackingId: "" }).length;
  const answer = { orderTrackingId: "x".repeat(Math.max(0, answerBytes - empty)) };
  const app = new Hono();
  app.post("/orders", async (c) => {
    await c.req.json();
    return c.json(answer, 202);
  });
  serveApp(app);
});

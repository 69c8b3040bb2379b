// The no-op without a framework: node:http alone parses the same body, and answers 202 with JSON of the same size.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onOrder, report } from "../own-process.ts";

onOrder<{ answerBytes: number }>(({ answerBytes }) => {
  const empty = JSON.stringify({ orderTrackingId: "" }).length;
  const answer = { orderTrackingId: "x".repeat(Math.max(0, answerBytes - empty)) };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      JSON.parse(Buffer.concat(chunks).toString());
      const body = JSON.stringify(answer);
      response.writeHead(202, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
  server.listen(0, "127.0.0.1", () => {
    report({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders` });
  });
});

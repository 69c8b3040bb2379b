// A receiver of webhooks as a process of its own: writes down what comes before it answers, so that a kill loses nothing of it.
// `PUT /answer` sets the status that it answers everything else with; 0: it never answers.
import { appendFileSync } from "node:fs";
import http from "node:http";

const [port = "", file = ""] = process.argv.slice(2);
let status = 204;

http
  .createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      if (request.method === "PUT") {
        status = Number(body);
        response.end();
        return;
      }
      const line = { path: request.url, headers: request.headers, body, status };
      appendFileSync(file, `${JSON.stringify(line)}\n`);
      if (status !== 0) response.writeHead(status).end();
    });
  })
  .listen(Number(port), "127.0.0.1", () => process.send?.("listening"));

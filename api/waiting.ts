// What the API answers while it waits for Redis and Postgres at its start: that it lives, that it is not ready, and to
// everybody else to come back.
import { createServer } from "node:http";
import { OnrushError } from "../engine/errors.ts";
import { nextRequestId } from "../engine/request-id.ts";
import { problemDocument, problemHeaders } from "./http/problem.ts";

export interface WaitingServer {
  /** Frees the port. */
  stop(): Promise<void>;
}

/** Listens in the API's place. @throws when the port cannot be listened on */
export async function startWaitingServer(at: { readonly host: string; readonly port: number }): Promise<WaitingServer> {
  const server = createServer((request, response) => {
    request.resume();
    if (request.url?.split("?")[0] === "/healthz") {
      response.writeHead(200, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify({ status: "ok" }));
      return;
    }
    const refusal = new OnrushError("OVERLOADED", "This process waits for its servers, and cannot serve yet.");
    response.writeHead(503, { ...problemHeaders(refusal), connection: "close" });
    response.end(JSON.stringify(problemDocument(refusal, nextRequestId())));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(at.port, at.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

// The app on a socket: limits on what a connection may cost, bodies that nobody wants drained within bounds, requests that
// Node or the adapter refuse answered as problem documents too, and an end that finishes what is under way.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { OnrushError } from "../engine/errors.ts";
import { BODY_BYTES_MAX } from "./http/body.ts";
import type { ApiEnv } from "./http/env.ts";
import { problemDocument, problemHeaders, problemResponse, requestIdOf } from "./http/problem.ts";
import type { Lane } from "./orders/order-lane.ts";

export interface ApiServer {
  readonly url: string;
  readonly server: Server;
  /** Stops accepting, lets requests in flight finish, and closes; what hangs on longer than the grace is cut. */
  stop(): Promise<void>;
}

export interface FetchApp {
  fetch(request: Request, env: ApiEnv["Bindings"]): Response | Promise<Response>;
}

/** A request must be there as a whole within this time. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than what load balancers keep idle connections: they close first, so no request meets a closing socket. */
const KEEP_ALIVE_MS = 65_000;
const HEADER_BYTES_MAX = 16_384;
/** An unwanted body is read and dropped this far, so that its sender gets to read the answer; then the socket is cut. */
const DRAIN_MS_MAX = 5_000;
const DRAIN_BYTES_MAX = 64 * 1_024 * 1_024;
const STOP_GRACE_MS = 7_000;
const IDLE_SWEEP_MS = 50;

/** Listens at host and port (0: any free one). A lane sees requests before the app does. */
export async function startServer(app: FetchApp, at: { host: string; port: number }, lane?: Lane): Promise<ApiServer> {
  const listener = getRequestListener((request, env) => app.fetch(request, env as ApiEnv["Bindings"]), {
    hostname: "localhost",
    // Drained here instead: the adapter's way cuts a slow sender off after half a second, before it reads its 413.
    autoCleanupIncoming: false,
    errorHandler: () => problemResponse(new OnrushError("VALIDATION", "The request cannot be read.")),
  });
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (mayBeTooLarge(request)) response.once("finish", () => drain(request));
    if (lane) lane(request, response, () => void listener(request, response));
    else void listener(request, response);
  };
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Clients that offer HTTP/2 in passing (`Upgrade: h2c`) are answered in HTTP/1.1 as if they had not.
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === "websocket",
    },
    serve,
  );
  // A client that asks first gets its 413 without sending the body.
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    if (!(Number(request.headers["content-length"]) > BODY_BYTES_MAX)) response.writeContinue();
    serve(request, response);
  });
  server.on("clientError", answerClientError);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(at.port, at.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return { server, url: urlOf(server.address() as AddressInfo), stop: () => stop(server) };
}

function mayBeTooLarge({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > BODY_BYTES_MAX;
}

function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  let bytes = 0;
  const cut = () => request.socket.destroy();
  const timer = setTimeout(cut, DRAIN_MS_MAX);
  request.once("close", () => clearTimeout(timer));
  request.once("end", () => clearTimeout(timer));
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > DRAIN_BYTES_MAX) cut();
  });
  request.on("error", () => clearTimeout(timer));
  request.resume();
}

/** What the parser refuses never becomes a request; it is answered on the socket as it is. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, reason] = clientErrorStatus(error.code);
  const refusal = new OnrushError("VALIDATION", `${reason}.`);
  const body = JSON.stringify({ ...problemDocument(refusal, requestIdOf(refusal)), status, title: reason });
  const headers = {
    ...problemHeaders(refusal),
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
}

function clientErrorStatus(code: string | undefined): [number, string] {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return [431, "Request Header Fields Too Large"];
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return [408, "Request Timeout"];
    default:
      return [400, "Bad Request"];
  }
}

async function stop(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Kept-alive connections become idle one by one as their requests end.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  const cut = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  server.closeIdleConnections();
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

function urlOf({ address, port, family }: AddressInfo): string {
  const reachable = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
  return `http://${family === "IPv6" && reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

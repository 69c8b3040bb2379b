// Who may open a socket: the right path, an origin that is ours, a ticket that is good, and room left. What is refused
// gets a problem document on the socket as it is.
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Redis } from "ioredis";
import { ERROR_STATUS, OnrushError } from "../../engine/errors.ts";
import type { ClientAddress } from "../http/client-address.ts";
import { refusalOf } from "../http/failures.ts";
import { problemDocument, problemHeaders, requestIdOf } from "../http/problem.ts";
import { redeemTicket, type TicketHolder } from "./tickets.ts";

export const WS_PATH = "/ws";
const URL_CHARACTERS_MAX = 2_048;

/**
 * Checks path and origin, and redeems the ticket if there is one.
 *
 * @returns who connects; `undefined`: anybody
 * @throws OnrushError with `NOT_FOUND`, `FORBIDDEN` or `UNAUTHENTICATED`, or what Redis throws
 */
export async function admit(
  request: IncomingMessage,
  origins: ReadonlySet<string>,
  redis: Redis,
): Promise<TicketHolder | undefined> {
  const url = readUrl(request);
  if (url?.pathname !== WS_PATH) throw new OnrushError("NOT_FOUND", "There is nothing to upgrade at this path.");
  if (request.headers.upgrade?.toLowerCase() !== "websocket") {
    throw new OnrushError("VALIDATION", "Only WebSocket connections can be had here.");
  }
  if (!isOriginAllowed(request, origins)) throw new OnrushError("FORBIDDEN", "This origin may not connect.");
  const tickets = url.searchParams.getAll("ticket");
  if (tickets.length === 0) return undefined;
  return redeemTicket(redis, tickets.length === 1 ? (tickets[0] as string) : "");
}

/** Browsers always say where a page is from; a program that says nothing is none. */
function isOriginAllowed({ headers }: IncomingMessage, origins: ReadonlySet<string>): boolean {
  const { origin, host } = headers;
  if (origin === undefined || origins.has(origin)) return true;
  const from = URL.parse(origin);
  return from !== null && /^https?:$/.test(from.protocol) && host !== undefined && from.host === host.toLowerCase();
}

function readUrl({ url = "" }: IncomingMessage): URL | undefined {
  if (!url.startsWith("/") || url.length > URL_CHARACTERS_MAX) return undefined;
  return URL.parse(`http://localhost${url}`) ?? undefined;
}

/** The client's address, by the same rules as for requests over HTTP. */
export function addressOf(request: IncomingMessage, read: ClientAddress): string {
  const forwarded = request.headers["x-forwarded-for"];
  return read(request.socket.remoteAddress, forwarded === undefined ? undefined : String(forwarded));
}

/** Answers the handshake with a problem document and ends the connection. */
export function refuseHandshake(socket: Duplex, error: unknown): void {
  const refusal = refusalOf(error) ?? new OnrushError("INTERNAL", "The connection could not be made.");
  const status = ERROR_STATUS[refusal.code];
  const body = JSON.stringify(problemDocument(refusal, requestIdOf(refusal)));
  const headers = {
    ...problemHeaders(refusal),
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
}

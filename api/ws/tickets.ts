// Tickets: how a browser, which cannot send a header with a WebSocket handshake, says who it is. A ticket is good for one
// connection within seconds, so that its place in a URL, where logs see it, gives nothing away. Kept in Redis: any
// process may redeem what another one gave.
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { decodeJwt } from "jose";
import { z } from "zod";
import { OnrushError } from "../../engine/errors.ts";
import { KEY_PREFIX } from "../../engine/keys.ts";
import { ROLES } from "../../engine/members/roles.ts";
import { ACCESS_TOKEN_SECONDS, type Identity } from "../auth/tokens.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";

/** Who connects with a ticket, and until when the token it was had for is valid. */
export interface TicketHolder {
  readonly identity: Identity;
  readonly expiresAtMs: number;
}

export const TICKET_SECONDS = 30;
const TICKET_BYTES = 32;
const TICKET = /^[A-Za-z0-9_-]{43}$/;
const stored = z.object({ customerId: z.string(), roles: z.array(z.enum(ROLES)), expiresAtMs: z.number() });
const ticketSchema = z.object({ ticket: z.string(), expiresIn: z.int() });

/** Adds `POST /api/v1/ws-tickets`. */
export function ticketRoute(edge: Edge, { redis }: Pick<ApiDependencies, "redis">): void {
  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/ws-tickets",
      summary: "Get a ticket for the WebSocket",
      description:
        "Connect to `/ws?ticket=...` within `expiresIn` seconds; a ticket opens one connection, which is closed when the " +
        "access token expires. Without a ticket `/ws` serves sales and guests' orders.\n\n" +
        'Send `{"type":"subscribe","channel","since"?}`, `{"type":"unsubscribe","channel"}`, `{"type":"ping"}`. Channels: ' +
        "`orders/{id}`, `sales/{id}`, `support/{threadId}`, `me`. Received are `subscribed`, `snapshot` and `event` with `{channel, version, data}`, " +
        "where `data` is GET's body, `error` with `{code, detail, channel?}`, and `pong`. Without `since` an order starts " +
        "with a snapshot, with it every later version is sent as an event. Messages have at most 16 KiB; a reader that " +
        "does not keep up skips to the newest state, and is closed (1013) when it stays behind.\n\n" +
        "A support thread's snapshot is `{thread, messages}` with its newest messages, an event `{message?, thread?}`: " +
        "every message is one, and the newest event has the thread's state with its read marks. With `since` every later " +
        "message is sent; after too many a snapshot is, and GET has the rest. There, write " +
        '`{"type":"message","channel","text","clientId"?}`, `{"type":"read","channel","version"}` and ' +
        '`{"type":"typing","channel"}`; received are, without a version, `{"type":"presence","channel","customer","agent"}` ' +
        'and `{"type":"typing","channel","from"}`.\n\n' +
        "`me` is one's own: a snapshot `{unread, notifications}` with the newest of GET /notifications, and events " +
        "`{notification?, unread?}`: every notification is one, and the newest event says how many are unread.",
      tag: "WebSocket",
      access: "member",
      answers: { 201: { description: "The ticket; expiresIn is in seconds", schema: ticketSchema } },
      refusals: ["STOCK_UNAVAILABLE"],
    },
    async ({ c, caller }) => {
      const header = c.req.raw.headers.get("authorization") ?? "";
      const ticket = await issueTicket(redis, { identity: caller, expiresAtMs: expiryOf(header) });
      return jsonAnswer({ ticket, expiresIn: TICKET_SECONDS }, 201);
    },
  );
}

/** Makes a ticket. */
export async function issueTicket(redis: Redis, { identity, expiresAtMs }: TicketHolder): Promise<string> {
  const ticket = randomBytes(TICKET_BYTES).toString("base64url");
  const holder = { customerId: identity.customerId, roles: [...identity.roles], expiresAtMs };
  await redis.set(ticketKey(ticket), JSON.stringify(holder), "EX", TICKET_SECONDS);
  return ticket;
}

/** Takes a ticket in. @throws OnrushError with `UNAUTHENTICATED` when it is none, was used, or is too old */
export async function redeemTicket(redis: Redis, ticket: string): Promise<TicketHolder> {
  const found = TICKET.test(ticket) ? await redis.getdel(ticketKey(ticket)) : null;
  const holder = found === null ? undefined : stored.parse(JSON.parse(found));
  if (!holder || holder.expiresAtMs <= Date.now()) {
    throw new OnrushError("UNAUTHENTICATED", "The ticket is not valid, or no longer.");
  }
  const { customerId, roles, expiresAtMs } = holder;
  return { identity: { customerId, roles: new Set(roles) }, expiresAtMs };
}

function ticketKey(ticket: string): string {
  return `${KEY_PREFIX}ticket:${ticket}`;
}

/** The endpoint verified the token; here it is only asked when it ends. */
function expiryOf(authorization: string): number {
  const latest = Date.now() + ACCESS_TOKEN_SECONDS * 1_000;
  const token = authorization.replace(/^Bearer +/i, "");
  const exp = token.split(".").length === 3 ? decodeJwt(token).exp : undefined;
  return exp === undefined ? latest : Math.min(latest, exp * 1_000);
}

// The messages of `/ws`: what clients may say, and how what they are told is written.
import { z } from "zod";
import type { ErrorCode } from "../../engine/errors.ts";
import { OnrushError } from "../../engine/errors.ts";
import { clientId, messageText, threadVersion } from "../support/representation.ts";

/** Channels that exist now. `console` is answered as unknown until it does. */
export const CHANNEL_KINDS = ["orders", "sales", "support", "me"] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number];

export interface Channel {
  readonly kind: ChannelKind;
  readonly id: string;
  /** `kind/id`, or `me`, as it stands in every message about it. */
  readonly name: string;
}

const CHANNEL_CHARACTERS_MAX = 200;
const channel = z.string().min(1).max(CHANNEL_CHARACTERS_MAX);
const clientMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("subscribe"), channel, since: z.int().min(0).optional() }),
  z.object({ type: z.literal("unsubscribe"), channel }),
  z.object({ type: z.literal("ping") }),
  z.object({ type: z.literal("message"), channel, text: messageText, clientId: clientId.optional() }),
  z.object({ type: z.literal("typing"), channel }),
  z.object({ type: z.literal("read"), channel, version: threadVersion }),
]);
export type ClientMessage = z.output<typeof clientMessage>;
/** What a client says on a channel, to those who are there. */
export type Said = Extract<ClientMessage, { type: "message" | "typing" | "read" }>;

/** Close codes: RFC 6455's, and 1013 (try again later) of its registry. */
export const CLOSE = { goingAway: 1001, textOnly: 1003, policy: 1008, tryLater: 1013 } as const;

/** Reads a client's message. @throws OnrushError with `VALIDATION` */
export function parseClientMessage(text: string): ClientMessage {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new OnrushError("VALIDATION", "The message is not JSON.");
  }
  const message = clientMessage.safeParse(json);
  if (message.success) return message.data;
  const [issue] = message.error.issues;
  const path = issue?.path.join(".") || "message";
  throw new OnrushError("VALIDATION", `Not valid: ${path}: ${issue?.message ?? "?"}.`);
}

/** Reads a channel's name. @throws OnrushError with `NOT_FOUND` when there is no such kind of channel */
export function parseChannel(name: string): Channel {
  if (name === "me") return { kind: "me", id: "", name };
  const slash = name.indexOf("/");
  const kind = CHANNEL_KINDS.find((known) => known === name.slice(0, Math.max(0, slash)));
  if (kind === undefined || kind === "me") throw new OnrushError("NOT_FOUND", "There is no such channel.");
  const given = name.slice(slash + 1);
  // UUIDs are told apart by their value, not by how they are written.
  const id = kind === "sales" ? given : given.toLowerCase();
  return { kind, id, name: `${kind}/${id}` };
}

export const PONG = JSON.stringify({ type: "pong" });

export function subscribedMessage(channelName: string): string {
  return JSON.stringify({ type: "subscribed", channel: channelName });
}

/** `channel`: the one that the refused message named, so that a client can tell which of its wishes failed. */
export function errorMessage(code: ErrorCode, detail: string, channelName?: string): string {
  return JSON.stringify({ type: "error", code, detail, ...(channelName !== undefined && { channel: channelName }) });
}

/** A state of a channel, written once however many sockets it goes to. `json`: the state, as JSON already. */
export function stateMessage(type: "snapshot" | "event", channelName: string, version: number, json: string): Buffer {
  return Buffer.from(`{"type":"${type}","channel":${JSON.stringify(channelName)},"version":${version},"data":${json}}`);
}

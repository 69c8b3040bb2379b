// Support threads over HTTP: members write to the shop, agents answer all of them. The same threads are live on the
// WebSocket's channels `support/{threadId}`.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import { listMessages } from "../../engine/support/messages.ts";
import { OPEN_THREADS_MAX } from "../../engine/support/thread.ts";
import { findThread, listThreads, noThread } from "../../engine/support/threads.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, UUID } from "../http/fields.ts";
import { REPLAYED } from "../orders/acceptance.ts";
import { participantOf, SupportDesk } from "./desk.ts";
import {
  message,
  messagePage,
  newMessage,
  newThread,
  readMark,
  representMessage,
  representThread,
  thread,
  threadChange,
  threadPage,
  threadsQuery,
  threadVersion,
} from "./representation.ts";

const SUPPORT_TAG = "Support";
const THREADS = "/api/v1/support/threads";
const MESSAGES = `${THREADS}/{id}/messages`;
const threadPosition = z.tuple([z.int().min(0).max(8.64e15), z.string().regex(UUID)]);

export function supportRoutes(edge: Edge, { pool, cacheRedis, log }: ApiDependencies): void {
  const desk = new SupportDesk({ pool, redis: cacheRedis, log, limits: edge.limits });

  endpoint(
    edge,
    {
      method: "post",
      path: THREADS,
      summary: "Write to the shop",
      description: `Opens a thread with its first message. At most ${OPEN_THREADS_MAX} of a member's are open at a time.`,
      tag: SUPPORT_TAG,
      access: "member",
      body: newThread,
      answers: { 201: { description: "The thread", schema: thread } },
      refusals: ["FORBIDDEN", "LIMIT_EXCEEDED"],
    },
    async ({ caller, body: { subject, text } }) => {
      if (caller.isServer) throw new OnrushError("FORBIDDEN", "A server has no threads of its own; it may answer.");
      return jsonAnswer(representThread(await desk.open(caller.customerId, subject, text)), 201);
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: THREADS,
      summary: "List support threads",
      description: "One's own; for support and administrators everybody's. The one that moved last comes first.",
      tag: SUPPORT_TAG,
      access: "member",
      query: threadsQuery,
      answers: { 200: { description: "A page", schema: threadPage } },
    },
    async ({ caller, query: { limit, cursor, state, customerId } }) => {
      const at = cursor === undefined ? undefined : decodeCursor(cursor, threadPosition);
      const before = at && { updatedAt: new Date(at[0]), id: at[1] };
      const found = await listThreads(pool, participantOf(caller), { limit: limit + 1, before, state, customerId });
      const last = found.length > limit ? found[limit - 1] : undefined;
      return jsonAnswer({
        items: found.slice(0, limit).map((row) => ({ ...representThread(row), unread: row.unread })),
        ...(last && { nextCursor: encodeCursor([last.updatedAt.getTime(), last.id]) }),
      });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: `${THREADS}/{id}`,
      summary: "Read a support thread",
      tag: SUPPORT_TAG,
      access: "member",
      answers: { 200: { description: "The thread", schema: thread } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => {
      const found = await findThread(pool, threadIdOf(c.req.param("id")), participantOf(caller));
      if (!found) throw noThread();
      return jsonAnswer(representThread(found));
    },
  );

  endpoint(
    edge,
    {
      method: "patch",
      path: `${THREADS}/{id}`,
      summary: "Close a support thread or open it again",
      description: "Either side may. A message to a closed thread opens it again, too.",
      tag: SUPPORT_TAG,
      access: "member",
      body: threadChange,
      answers: { 200: { description: "The thread", schema: thread } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller, body: { state } }) =>
      jsonAnswer(representThread(await desk.setState(participantOf(caller), threadIdOf(c.req.param("id")), state))),
  );

  endpoint(
    edge,
    {
      method: "post",
      path: `${THREADS}/{id}/read`,
      summary: "Say how far one has read a support thread",
      description: "Marks only move forward. A member's mark is the customer's, everybody else's the shop's.",
      tag: SUPPORT_TAG,
      access: "member",
      body: readMark,
      answers: { 200: { description: "The thread", schema: thread } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller, body: { version } }) =>
      jsonAnswer(representThread(await desk.markRead(participantOf(caller), threadIdOf(c.req.param("id")), version))),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: MESSAGES,
      summary: "Read the messages of a support thread",
      description: "Newest first.",
      tag: SUPPORT_TAG,
      access: "member",
      query: page,
      answers: { 200: { description: "A page", schema: messagePage } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller, query: { limit, cursor } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, threadVersion);
      const found = await findThread(pool, threadIdOf(c.req.param("id")), participantOf(caller));
      if (!found) throw noThread();
      const messages = await listMessages(pool, found.id, { limit: limit + 1, before });
      const last = messages.length > limit ? messages[limit - 1] : undefined;
      return jsonAnswer({
        items: messages.slice(0, limit).map(representMessage),
        ...(last && { nextCursor: encodeCursor(last.version) }),
      });
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: MESSAGES,
      summary: "Write in a support thread",
      description: "INVALID_STATE when the thread holds as many messages as it may: begin another one.",
      tag: SUPPORT_TAG,
      access: "member",
      body: newMessage,
      answers: {
        200: { description: "The message that was sent under this clientId before", schema: message },
        201: { description: "The message", schema: message },
      },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller, body }) => {
      const threadId = threadIdOf(c.req.param("id"));
      const { message: posted, isReplayed } = await desk.post(participantOf(caller), { ...body, threadId });
      const view = representMessage(posted);
      return isReplayed ? jsonAnswer(view, 200, REPLAYED) : jsonAnswer(view, 201);
    },
  );
}

/** @throws OnrushError with `NOT_FOUND` when it can be no thread's id */
function threadIdOf(segment = ""): string {
  if (!UUID.test(segment)) throw noThread();
  return segment.toLowerCase();
}

// A member's inbox over HTTP: every step of the own orders, and that support has answered. Live on the WebSocket's `me`.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import {
  collectNotifications,
  countUnread,
  listNotifications,
  markAllRead,
  markRead,
} from "../../engine/notifications/inbox.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import {
  notificationPage,
  notificationSchema,
  notificationsQuery,
  readUpTo,
  representNotification,
  unreadCount,
} from "./representation.ts";

const NOTIFICATIONS_TAG = "Notifications";
const position = z.int().min(1);
const ID = /^[1-9]\d{0,14}$/;
/** Collecting goes in steps; this many take in what a member with tens of thousands of orders has. */
const COLLECTIONS_MAX = 20;

export function notificationRoutes(edge: Edge, { pool }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/notifications",
      summary: "List one's own notifications",
      description: "Newest first: every step of one's orders, and each answer of support.",
      tag: NOTIFICATIONS_TAG,
      access: "member",
      query: notificationsQuery,
      answers: { 200: { description: "A page", schema: notificationPage } },
    },
    async ({ caller: { customerId }, query: { limit, cursor, unread } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, position);
      for (let i = 0; i < COLLECTIONS_MAX && (await collectNotifications(pool, [customerId])); i += 1);
      const page = { limit: limit + 1, before, unreadOnly: unread !== undefined };
      const found = await listNotifications(pool, customerId, page);
      const last = found.length > limit ? found[limit - 1] : undefined;
      return jsonAnswer({
        items: found.slice(0, limit).map(representNotification),
        unread: await countUnread(pool, customerId),
        ...(last && { nextCursor: encodeCursor(last.version) }),
      });
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/notifications/{id}/read",
      summary: "Mark a notification as read",
      description: "Once more changes nothing.",
      tag: NOTIFICATIONS_TAG,
      access: "member",
      answers: { 200: { description: "The notification", schema: notificationSchema } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => {
      const id = c.req.param("id") ?? "";
      const notification = ID.test(id) ? await markRead(pool, caller.customerId, Number(id)) : undefined;
      if (!notification) throw new OnrushError("NOT_FOUND", "There is no such notification.");
      return jsonAnswer(representNotification(notification));
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/notifications/read",
      summary: "Mark notifications as read",
      description: "All up to the one that is named, so that what came after the member looked stays unread.",
      tag: NOTIFICATIONS_TAG,
      access: "member",
      body: readUpTo,
      answers: { 200: { description: "How many are left", schema: unreadCount } },
    },
    async ({ caller: { customerId }, body: { upTo } }) => {
      await markAllRead(pool, customerId, upTo);
      return jsonAnswer({ unread: await countUnread(pool, customerId) });
    },
  );
}

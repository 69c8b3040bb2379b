// Notifications as members see them, over HTTP and WebSocket.
import { z } from "@hono/zod-openapi";
import { FULFILMENT_STATES } from "../../engine/fulfilment.ts";
import { NOTIFICATION_KINDS, type Notification } from "../../engine/notifications/inbox.ts";
import { CANCEL_REASONS, ORDER_STATUSES } from "../../engine/order-state.ts";
import { page } from "../http/fields.ts";

export const notificationSchema = z
  .object({
    id: z.string(),
    version: z.int().openapi({ description: "Grows: later ones have higher numbers, whatever they tell of" }),
    kind: z.enum(NOTIFICATION_KINDS).openapi({ description: "`order`: an order's step; `support`: the shop wrote" }),
    orderTrackingId: z.string().optional(),
    orderVersion: z.int().optional(),
    status: z.enum(ORDER_STATUSES).optional(),
    reason: z.enum(CANCEL_REASONS).optional(),
    fulfilment: z.enum(FULFILMENT_STATES).optional(),
    threadId: z.string().optional(),
    messageVersion: z.int().optional(),
    at: z.string(),
    read: z.boolean(),
  })
  .openapi("Notification");
export const notificationPage = z
  .object({
    items: z.array(notificationSchema),
    unread: z.int().openapi({ description: "Of all, not of the page" }),
    nextCursor: z.string().optional(),
  })
  .openapi("NotificationPage");
export const notificationsQuery = page.extend({
  unread: z.enum(["true"]).optional().openapi({ description: "`true`: those that were not read alone" }),
});
export const readUpTo = z
  .object({ upTo: z.int().min(1).openapi({ description: "The version of the newest notification that was seen" }) })
  .openapi("NotificationsRead");
export const unreadCount = z.object({ unread: z.int() }).openapi("UnreadNotifications");

export function representNotification(notification: Notification): z.input<typeof notificationSchema> {
  const { version, kind, at, isRead } = notification;
  const common = { id: String(version), version, kind, at: at.toISOString(), read: isRead };
  if (notification.kind === "support") {
    return { ...common, threadId: notification.threadId, messageVersion: notification.messageVersion };
  }
  const { orderId, orderVersion, status, reason, fulfilment } = notification;
  return {
    ...common,
    orderTrackingId: orderId,
    orderVersion,
    status,
    ...(reason !== null && { reason }),
    ...(fulfilment !== null && { fulfilment }),
  };
}

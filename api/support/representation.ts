// Support threads and messages as clients see them, over HTTP and WebSocket.
import { z } from "@hono/zod-openapi";
import {
  CLIENT_ID_LENGTH_MAX,
  type Message,
  SIDES,
  SUBJECT_LENGTH_MAX,
  TEXT_LENGTH_MAX,
  THREAD_STATES,
  type Thread,
} from "../../engine/support/thread.ts";
import { page, text } from "../http/fields.ts";

export const messageText = text(1, TEXT_LENGTH_MAX)
  .refine((value) => value.trim() !== "", "must not be blank")
  .openapi({
    minLength: 1,
    maxLength: TEXT_LENGTH_MAX,
    description: "Plain text; whatever it looks like, it is no markup",
  });
export const clientId = z
  .string()
  .regex(new RegExp(`^[\\x21-\\x7e]{1,${CLIENT_ID_LENGTH_MAX}}$`))
  .openapi({
    description: "The author's own name for the message: sent again under the same one, it is not added twice",
  });
/** A thread's version, as clients name it. */
export const threadVersion = z.int().min(1);

export const newThread = z
  .object({
    subject: text(1, SUBJECT_LENGTH_MAX).refine((value) => value.trim() !== "", "must not be blank"),
    text: messageText,
  })
  .openapi("NewSupportThread");
export const newMessage = z.object({ text: messageText, clientId: clientId.optional() }).openapi("NewSupportMessage");
export const readMark = z
  .object({ version: threadVersion.openapi({ description: "That of the last message that was read" }) })
  .openapi("SupportReadMark");
export const threadChange = z.object({ state: z.enum(THREAD_STATES) }).openapi("SupportThreadChange");
export const threadsQuery = page.extend({
  state: z.enum(THREAD_STATES).optional(),
  customerId: z.string().min(1).max(64).optional().openapi({ description: "For agents: of this member" }),
});

const threadSchema = z.object({
  id: z.string(),
  customerId: z.string(),
  subject: z.string(),
  state: z.enum(THREAD_STATES),
  version: z.int().openapi({ description: "Grows by one with every message, read mark and change of state" }),
  customerRead: z.int().openapi({ description: "The version up to which the customer has read" }),
  agentRead: z.int().openapi({ description: "The version up to which the shop has read" }),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export const thread = threadSchema.openapi("SupportThread");
export const threadPage = z
  .object({
    items: z.array(
      threadSchema.extend({
        unread: z.int().openapi({ description: "Messages of the other side after one's read mark" }),
      }),
    ),
    nextCursor: z.string().optional(),
  })
  .openapi("SupportThreadPage");
export const message = z
  .object({
    id: z.string(),
    version: z.int().openapi({ description: "The thread's version with this message: the order of messages" }),
    from: z.enum(SIDES),
    authorId: z.string(),
    clientId: z.string().optional(),
    text: z.string(),
    at: z.string(),
  })
  .openapi("SupportMessage");
export const messagePage = z
  .object({ items: z.array(message), nextCursor: z.string().optional() })
  .openapi("SupportMessagePage");

export function representThread(row: Thread): z.input<typeof thread> {
  const { id, customerId, subject, state, version, customerRead, agentRead, createdAt, updatedAt } = row;
  return {
    id,
    customerId,
    subject,
    state,
    version,
    customerRead,
    agentRead,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

export function representMessage(row: Message): z.input<typeof message> {
  const { id, version, side, authorId, clientId: named, text: written, at } = row;
  return {
    id,
    version,
    from: side,
    authorId,
    ...(named !== null && { clientId: named }),
    text: written,
    at: at.toISOString(),
  };
}

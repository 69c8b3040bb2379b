// The trail of what operators did.
import { z } from "@hono/zod-openapi";
import { AUDIT_ACTIONS, listAudit } from "../../engine/ledger/audit.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, text } from "../http/fields.ts";

export const ADMIN_TAG = "Administration";

const entry = z
  .object({
    id: z.int(),
    at: z.string(),
    actor: z.string().openapi({ description: "A member's id, or `cli:` and an account of the machine" }),
    action: z.enum(AUDIT_ACTIONS),
    subject: z.string().openapi({ description: "kind:id, such as `sale:summer`" }),
    before: z.unknown(),
    after: z.unknown(),
    reason: z.string().nullable(),
  })
  .openapi("AuditEntry");
const auditPage = z.object({ items: z.array(entry), nextCursor: z.string().optional() }).openapi("AuditPage");
const position = z.int().min(1);
const query = page.extend({
  subject: text(1, 300).optional(),
  actor: text(1, 200).optional(),
  action: z.enum(AUDIT_ACTIONS).optional(),
});

export function auditRoutes(edge: Edge, { pool }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/audit",
      summary: "List what operators did",
      description: "Newest first: who did what to what, how it was before and after, and why. Nothing is ever removed.",
      tag: ADMIN_TAG,
      access: "admin",
      query,
      answers: { 200: { description: "A page", schema: auditPage } },
    },
    async ({ query: { limit, cursor, ...filter } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const items = await listAudit(pool, { ...filter, limit: limit + 1, before });
      const last = items.length > limit ? items[limit - 1] : undefined;
      return jsonAnswer({ items: items.slice(0, limit), ...(last && { nextCursor: encodeCursor(last.id) }) });
    },
  );
}

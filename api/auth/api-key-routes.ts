// Keys for servers, made and revoked by administrators.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import { recordAudit } from "../../engine/ledger/audit.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { type ApiKey, createApiKey, listApiKeys, revokeApiKey } from "../../engine/members/api-keys.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { instant, invalid, text } from "../http/fields.ts";
import { tellEnded } from "./ended-sessions.ts";

const TAG = "API keys";
const KEY_ID = /^key_[0-9a-z]{24}$/;
const KEY_ROLES = ["support", "admin"] as const;

const newKey = z
  .object({
    name: text(1, 100),
    roles: z.array(z.enum(KEY_ROLES)).min(1).max(KEY_ROLES.length),
    expiresAt: instant.optional(),
  })
  .openapi("NewApiKey");
const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    roles: z.array(z.enum(KEY_ROLES)),
    createdBy: z.string(),
    createdAt: z.string(),
    expiresAt: z.string().nullable(),
    revokedAt: z.string().nullable(),
  })
  .openapi("ApiKey");
const createdKey = apiKey.extend({ key: z.string() }).openapi("CreatedApiKey");

export function apiKeyRoutes(edge: Edge, { pool, redis, log }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/api-keys",
      summary: "Make a key for a server",
      description:
        "Sent as `Authorization: Bearer ork_...`. A server with a key orders in the name of the `customerId` that it sends, " +
        "be it a member or a guest. The key itself is in this answer and never shown again.",
      tag: TAG,
      access: "admin",
      body: newKey,
      answers: { 201: { description: "The key", schema: createdKey } },
    },
    async ({ caller, body }) => {
      const { name, expiresAt = null } = body;
      if (expiresAt && expiresAt.getTime() <= Date.now()) throw invalid("expiresAt", "must be in the future");
      const roles = [...new Set(body.roles)];
      const made = await transaction(pool, async (client) => {
        const { key, secret } = await createApiKey(client, { name, roles, expiresAt, createdBy: caller.customerId });
        await recordAudit(client, {
          actor: caller.customerId,
          action: "api_key.create",
          subject: `api-key:${key.id}`,
          after: { name, roles, expiresAt },
        });
        return { ...represent(key), key: secret };
      });
      return jsonAnswer(made, 201, { location: `/api/v1/api-keys/${made.id}` });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/api-keys",
      summary: "List keys",
      tag: TAG,
      access: "admin",
      answers: { 200: { description: "Newest first", schema: z.object({ items: z.array(apiKey) }) } },
    },
    async () => jsonAnswer({ items: (await listApiKeys(pool)).map(represent) }),
  );

  endpoint(
    edge,
    {
      method: "delete",
      path: "/api/v1/api-keys/{id}",
      summary: "Revoke a key",
      description: "Refused by every process within two seconds.",
      tag: TAG,
      access: "admin",
      answers: { 204: { description: "Revoked" } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => {
      const id = c.req.param("id") ?? "";
      const revoked =
        KEY_ID.test(id) &&
        (await transaction(pool, async (client) => {
          if (!(await revokeApiKey(client, id))) return false;
          const subject = `api-key:${id}`;
          await recordAudit(client, { actor: caller.customerId, action: "api_key.revoke", subject });
          return true;
        }));
      if (!revoked) throw new OnrushError("NOT_FOUND", "There is no such key.");
      await tellEnded(redis, edge.tokens, [id], log);
      return emptyAnswer();
    },
  );
}

function represent({ id, name, roles, createdBy, createdAt, expiresAt, revokedAt }: ApiKey) {
  return { id, name, roles, createdBy, createdAt, expiresAt, revokedAt };
}

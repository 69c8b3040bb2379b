// What an administrator does with members' accounts.

import { z } from "@hono/zod-openapi";
import { reasonSchema } from "../../engine/catalogue/input.ts";
import { OnrushError } from "../../engine/errors.ts";
import { eraseMember } from "../../engine/members/erasure.ts";
import { isMemberId } from "../../engine/members/member-id.ts";
import { tellEnded } from "../auth/ended-sessions.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { emptyAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { ADMIN_TAG } from "./audit-routes.ts";

export function memberAdminRoutes(edge: Edge, { pool, redis, log }: ApiDependencies): void {
  const erasure = z
    .object({ reason: reasonSchema().optional() })
    .openapi("AccountErasure", { example: { reason: "asked by letter, 21 November" } });
  endpoint(
    edge,
    {
      method: "delete",
      path: "/api/v1/users/{customerId}",
      summary: "Erase a member's personal data",
      description:
        "As members do it themselves by DELETE /auth/me: name, e-mail address, password and the addresses of orders go for " +
        "good, every session ends, and the orders stay in the books under an id that leads to nobody. The trail has who did " +
        "it and, where it is sent, why. INVALID_STATE while an order is under way, and for the last administrator.",
      tag: ADMIN_TAG,
      access: "admin",
      body: erasure.optional(),
      bodyOptional: true,
      answers: { 204: { description: "Erased" } },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller, body }) => {
      const id = c.req.param("customerId") ?? "";
      if (!isMemberId(id)) throw new OnrushError("NOT_FOUND", "There is no such member.");
      const { endedSessions } = await eraseMember(pool, id, { actor: caller.customerId, reason: body?.reason });
      await tellEnded(redis, edge.tokens, endedSessions, log);
      return emptyAnswer();
    },
  );
}

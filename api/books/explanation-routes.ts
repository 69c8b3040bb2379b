// Why an order was accepted or refused, for operators.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import { explain } from "../../engine/explanation/explain.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";

const explanationSchema = z
  .looseObject({ type: z.enum(["accepted", "refused", "pending", "set aside", "counted"]) })
  .openapi("Explanation");

export function explanationRoutes(edge: Edge, { pool, redis }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/orders/{id}/explanation",
      summary: "Explain an order",
      description:
        "By an order's id, or by the `requestId` of a refusal. `accepted`: units and limits as the script found them, its " +
        "entry in the log, payments, movements, states. `refused`: by what. `pending`: on its way to Postgres. `set aside`: " +
        "among the dead letters. `counted`: refused in a second of which only the numbers were kept.",
      tag: "Operations",
      access: "operator",
      answers: { 200: { description: "The explanation", schema: explanationSchema } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c }) => {
      const found = await explain(pool, redis, c.req.param("id") ?? "");
      if (!found) throw new OnrushError("NOT_FOUND", "Nothing is known of that id.");
      return jsonAnswer(found);
    },
  );
}

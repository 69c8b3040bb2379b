// Dead letters: what the persister could not apply, and refunds that failed. A worker carries out what is decided here, as it is
// about the log or the gateway; the letter then says what became of it.
import { z } from "@hono/zod-openapi";
import { reasonSchema } from "../../engine/catalogue/input.ts";
import { OnrushError } from "../../engine/errors.ts";
import {
  DEAD_LETTER_STATES,
  type DeadLetterRow,
  findDeadLetter,
  listDeadLetters,
  wantDeadLetter,
} from "../../engine/ledger/dead-letters.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, text } from "../http/fields.ts";
import { ADMIN_TAG } from "./audit-routes.ts";

const PATH = "/api/v1/admin/dead-letters";

const letterSchema = z
  .object({
    id: z.int(),
    saleId: z.string(),
    partition: z.int(),
    epoch: z.int().nullable().openapi({ description: "Null for a refund, which comes from no log" }),
    seq: z.int().nullable(),
    orderId: z.string().nullable().openapi({ description: "Null: the whole entry, or a line that names no order" }),
    kind: z.string().openapi({ description: "The kind of the entry, `unreadable`, or `refund`" }),
    refundId: z.string().nullable(),
    payload: z.string(),
    error: z.string(),
    state: z.enum(DEAD_LETTER_STATES),
    createdAt: z.string(),
    decidedAt: z.string().nullable(),
    decidedBy: z.string().nullable(),
    wanted: z.enum(["replay", "discard"]).nullable().openapi({ description: "Asked for, and not carried out yet" }),
    refusal: z.string().nullable().openapi({ description: "Why nothing came of what was asked for" }),
  })
  .openapi("DeadLetter");
const letterPage = z
  .object({ items: z.array(letterSchema), nextCursor: z.string().optional() })
  .openapi("DeadLetterPage");
const position = z.int().min(1);
const query = page.extend({
  state: z.enum(DEAD_LETTER_STATES).default("open"),
  saleId: text(1, 36).optional(),
});

export function deadLetterRoutes(edge: Edge, { pool }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: PATH,
      summary: "List dead letters",
      description:
        "Entries of the log, or single orders of one, that the ledger did not take, and refunds that failed; oldest first.",
      tag: ADMIN_TAG,
      access: "operator",
      query,
      answers: { 200: { description: "A page", schema: letterPage } },
    },
    async ({ query: { limit, cursor, ...filter } }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const items = await listDeadLetters(pool, { ...filter, limit: limit + 1, after });
      const last = items.length > limit ? items[limit - 1] : undefined;
      return jsonAnswer({ items: items.slice(0, limit), ...(last && { nextCursor: encodeCursor(last.id) }) });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: `${PATH}/{id}`,
      summary: "Read a dead letter",
      tag: ADMIN_TAG,
      access: "operator",
      answers: { 200: { description: "The dead letter", schema: letterSchema } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c }) => jsonAnswer(await known(c.req.param("id"))),
  );

  decision("replay", z.object({ reason: reasonSchema().optional() }).openapi("DeadLetterReplay"), {
    summary: "Apply a dead letter to the ledger",
    description:
      "The order gets the place that it would have had, and its payment becomes due; a refund goes again. A worker does it " +
      "within a second or so; when it can still not be applied, `refusal` says why.",
  });
  decision("discard", z.object({ reason: reasonSchema() }).openapi("DeadLetterDiscard"), {
    summary: "Give up on a dead letter",
    description:
      "An order that can be read is cancelled by the operator; the hold of one that cannot is released. A worker does it " +
      "within a second or so. A refund is money that is owed: INVALID_STATE.",
  });

  function decision(
    wanted: "replay" | "discard",
    body: z.ZodType<{ reason?: string | undefined }>,
    docs: { summary: string; description: string },
  ): void {
    endpoint(
      edge,
      {
        method: "post",
        path: `${PATH}/{id}/${wanted}`,
        ...docs,
        tag: ADMIN_TAG,
        access: "admin",
        body,
        answers: { 202: { description: "The dead letter", schema: letterSchema } },
        refusals: ["NOT_FOUND", "INVALID_STATE"],
      },
      async ({ c, caller, body: { reason } }) => {
        const letter = await known(c.req.param("id"));
        if (wanted === "discard" && letter.refundId !== null) {
          throw new OnrushError("INVALID_STATE", "A refund cannot be discarded: the money is owed.");
        }
        if (!(await wantDeadLetter(pool, letter.id, wanted, { actor: caller.customerId, reason }))) {
          const now = await known(String(letter.id));
          throw new OnrushError("INVALID_STATE", `The dead letter was ${now.state} before.`, {
            letterState: now.state,
          });
        }
        const location = `${PATH}/${letter.id}`;
        return jsonAnswer(await known(String(letter.id)), 202, { location });
      },
    );
  }

  async function known(id = ""): Promise<DeadLetterRow> {
    const letter = /^[1-9]\d{0,14}$/.test(id) ? await findDeadLetter(pool, Number(id)) : undefined;
    if (!letter) throw new OnrushError("NOT_FOUND", "There is no such dead letter.");
    return letter;
  }
}

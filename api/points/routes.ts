// Points: where a member stands and what came and went, and what operators give and take. They are spent by orders, and
// earned by them.
import { OnrushError } from "../../engine/errors.ts";
import { isMemberKnown } from "../../engine/members/users.ts";
import { listEntries } from "../../engine/points/accounts.ts";
import { adjustPoints } from "../../engine/points/adjustments.ts";
import { readStanding } from "../../engine/points/standing.ts";
import { TIERS_DEFAULT } from "../../engine/points/tiers.ts";
import { unknownMember } from "../../engine/wallet/deposits.ts";
import type { Identity } from "../auth/tokens.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { REPLAYED } from "../orders/acceptance.ts";
import { readIdempotencyKey } from "../orders/order-request.ts";
import {
  adjustment,
  adjustmentHeaders,
  entriesQuery,
  entryPage,
  entryPosition,
  newAdjustment,
  points,
  representEntry,
} from "./schemas.ts";

const POINTS_TAG = "Points";

export function pointsRoutes(edge: Edge, { pool, configuration }: ApiDependencies): void {
  const tiers = () => configuration?.current.settings.points.tiers ?? TIERS_DEFAULT;
  const knownMember = async (customerId = "") => {
    if (!(await isMemberKnown(pool, customerId))) throw unknownMember(customerId);
    return customerId;
  };
  const pageOf = async (customerId: string, { limit, cursor }: { limit: number; cursor?: string | undefined }) => {
    const before = cursor === undefined ? undefined : decodeCursor(cursor, entryPosition);
    const found = await listEntries(pool, customerId, { limit: limit + 1, before });
    const last = found.length > limit ? found[limit - 1] : undefined;
    const items = found.slice(0, limit).map(representEntry);
    return jsonAnswer({ items, ...(last && { nextCursor: encodeCursor(last.id) }) });
  };

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/points",
      summary: "Read one's own points and tier",
      description: "A member who never had any has 0.",
      tag: POINTS_TAG,
      access: "member",
      answers: { 200: { description: "Where the member stands", schema: points } },
      refusals: ["NOT_FOUND"],
    },
    async ({ caller }) => jsonAnswer(await readStanding(pool, ownerOf(caller), tiers())),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/points/entries",
      summary: "List what came and went of one's own points",
      description: "Newest first.",
      tag: POINTS_TAG,
      access: "member",
      query: entriesQuery,
      answers: { 200: { description: "A page", schema: entryPage } },
      refusals: ["NOT_FOUND"],
    },
    ({ caller, query }) => pageOf(ownerOf(caller), query),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/points/{customerId}",
      summary: "Read a member's points and tier",
      description: "Also of a member who was erased: the books stay.",
      tag: POINTS_TAG,
      access: "operator",
      answers: { 200: { description: "Where the member stands", schema: points } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c }) => jsonAnswer(await readStanding(pool, await knownMember(c.req.param("customerId")), tiers())),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/points/{customerId}/entries",
      summary: "List what came and went of a member's points",
      description: "Newest first.",
      tag: POINTS_TAG,
      access: "operator",
      query: entriesQuery,
      answers: { 200: { description: "A page", schema: entryPage } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, query }) => pageOf(await knownMember(c.req.param("customerId")), query),
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/points/{customerId}/adjustments",
      summary: "Give a member points, or take some",
      description:
        "INVALID_STATE when more would be taken than there is, or a member would have more than a member may.",
      tag: POINTS_TAG,
      access: "admin",
      headers: adjustmentHeaders,
      body: newAdjustment,
      answers: {
        200: { description: "The adjustment that this Idempotency-Key led to before", schema: adjustment },
        201: { description: "The adjustment, booked now", schema: adjustment },
      },
      refusals: ["NOT_FOUND", "INVALID_STATE", "IDEMPOTENCY_CONFLICT"],
    },
    async ({ c, caller, body: { amount, reason } }) => {
      const key = readIdempotencyKey(c.req.raw.headers.get("idempotency-key"));
      const customerId = c.req.param("customerId") ?? "";
      const booked = await adjustPoints(pool, { customerId, amount, key }, { actor: caller.customerId, reason });
      return booked.isReplayed ? jsonAnswer(booked.adjustment, 200, REPLAYED) : jsonAnswer(booked.adjustment, 201);
    },
  );
}

/** @throws OnrushError with `NOT_FOUND` for a server: it orders in the name of others, and has nothing of its own */
function ownerOf(caller: Identity): string {
  if (caller.isServer) {
    throw new OnrushError("NOT_FOUND", "A server has no points; a member's are at /points/{customerId}.");
  }
  return caller.customerId;
}

// Wallets: members see their own, operators everybody's, and administrators book what was paid in. What is spent is spent by
// orders: `payment: {method: "wallet"}`.
import { OnrushError } from "../../engine/errors.ts";
import { isMemberKnown } from "../../engine/members/users.ts";
import { readWallet } from "../../engine/wallet/accounts.ts";
import { depositTo, unknownMember } from "../../engine/wallet/deposits.ts";
import { listTransactions } from "../../engine/wallet/transactions.ts";
import type { Identity } from "../auth/tokens.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { REPLAYED } from "../orders/acceptance.ts";
import { readIdempotencyKey } from "../orders/order-request.ts";
import {
  deposit,
  depositHeaders,
  newDeposit,
  representTransaction,
  transactionPage,
  transactionPosition,
  transactionsQuery,
  wallet,
  walletQuery,
} from "./schemas.ts";

const WALLETS_TAG = "Wallets";

export function walletRoutes(edge: Edge, { pool }: ApiDependencies): void {
  const knownMember = async (customerId = "") => {
    if (!(await isMemberKnown(pool, customerId))) throw unknownMember(customerId);
    return customerId;
  };
  const pageOf = async (
    customerId: string,
    query: { limit: number; cursor?: string | undefined; currency?: string | undefined },
  ) => {
    const { limit, cursor, currency } = query;
    const before = cursor === undefined ? undefined : decodeCursor(cursor, transactionPosition);
    const found = await listTransactions(pool, customerId, { limit: limit + 1, before, currency });
    const last = found.length > limit ? found[limit - 1] : undefined;
    const items = found.slice(0, limit).map(representTransaction);
    return jsonAnswer({ items, ...(last && { nextCursor: encodeCursor(last.id) }) });
  };

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/wallet",
      summary: "Read one's own wallet",
      description: "A member to whom nothing was ever paid in has 0.",
      tag: WALLETS_TAG,
      access: "member",
      query: walletQuery,
      answers: { 200: { description: "The wallet", schema: wallet } },
      refusals: ["NOT_FOUND"],
    },
    async ({ caller, query: { currency } }) => jsonAnswer(await readWallet(pool, ownerOf(caller), currency)),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/wallet/transactions",
      summary: "List what moved in one's own wallet",
      description: "Newest first.",
      tag: WALLETS_TAG,
      access: "member",
      query: transactionsQuery,
      answers: { 200: { description: "A page", schema: transactionPage } },
      refusals: ["NOT_FOUND"],
    },
    ({ caller, query }) => pageOf(ownerOf(caller), query),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/wallets/{customerId}",
      summary: "Read a member's wallet",
      description: "Also of a member who was erased: the books stay.",
      tag: WALLETS_TAG,
      access: "operator",
      query: walletQuery,
      answers: { 200: { description: "The wallet", schema: wallet } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, query: { currency } }) =>
      jsonAnswer(await readWallet(pool, await knownMember(c.req.param("customerId")), currency)),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/wallets/{customerId}/transactions",
      summary: "List what moved in a member's wallet",
      description: "Newest first.",
      tag: WALLETS_TAG,
      access: "operator",
      query: transactionsQuery,
      answers: { 200: { description: "A page", schema: transactionPage } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, query }) => pageOf(await knownMember(c.req.param("customerId")), query),
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/wallets/{customerId}/deposits",
      summary: "Book what a member has paid in",
      description: "INVALID_STATE when the wallet would hold more than a wallet may.",
      tag: WALLETS_TAG,
      access: "admin",
      headers: depositHeaders,
      body: newDeposit,
      answers: {
        200: { description: "The deposit that this Idempotency-Key led to before", schema: deposit },
        201: { description: "The deposit, booked now", schema: deposit },
      },
      refusals: ["NOT_FOUND", "INVALID_STATE", "IDEMPOTENCY_CONFLICT"],
    },
    async ({ c, caller, body: { amount, currency, reason } }) => {
      const key = readIdempotencyKey(c.req.raw.headers.get("idempotency-key"));
      const customerId = c.req.param("customerId") ?? "";
      const operator = { actor: caller.customerId, reason };
      const booked = await depositTo(pool, { customerId, amount, currency, key }, operator);
      return booked.isReplayed ? jsonAnswer(booked.deposit, 200, REPLAYED) : jsonAnswer(booked.deposit, 201);
    },
  );
}

/** @throws OnrushError with `NOT_FOUND` for a server: it orders in the name of others, and has nothing of its own */
function ownerOf(caller: Identity): string {
  if (caller.isServer)
    throw new OnrushError("NOT_FOUND", "A server has no wallet; a member's is at /wallets/{customerId}.");
  return caller.customerId;
}

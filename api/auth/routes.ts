// Signing up, in and out, and who one is.
import type { CartCache } from "../../engine/cart/cart-cache.ts";
import { mergeCarts } from "../../engine/cart/carts.ts";
import { OnrushError } from "../../engine/errors.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { endSession, refreshSession, type StartedSession, startSession } from "../../engine/members/sessions.ts";
import { createUser, findUser, findUserByEmail, makeCustomerId, type User } from "../../engine/members/users.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { tellEnded } from "./ended-sessions.ts";
import { hashPassword, verifyPassword } from "./passwords.ts";
import {
  account,
  credentials,
  logOut,
  newMember,
  refreshRequest,
  representAccount,
  session,
  signUp,
} from "./schemas.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";

export const ACCOUNTS_TAG = "Accounts";

export function authRoutes(
  edge: Edge,
  { pool, redis, outbox, log, carts }: ApiDependencies & { readonly carts: CartCache },
): void {
  /** What somebody put in as a guest is there after signing in. A cart is not worth a sign-in that fails. */
  const takeOverCart = async (guestId: string | undefined, memberId: string) => {
    if (guestId === undefined) return;
    try {
      for (const cart of await mergeCarts(pool, guestId, memberId)) await carts.keep(cart);
    } catch (error) {
      log.warn({ err: error }, "a guest's cart could not be taken over");
    }
  };
  const tell = (ids: readonly string[]) => tellEnded(redis, edge.tokens, ids, log);
  const tokensOf = async ({ id, roles }: User, { sessionId, refreshToken }: StartedSession) => ({
    accessToken: await edge.tokens.issue(id, roles, sessionId),
    refreshToken,
    expiresIn: ACCESS_TOKEN_SECONDS,
    customerId: id,
  });

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/signup",
      summary: "Become a member",
      description:
        "Signs in at once, and sends a link that verifies the e-mail address. Passwords have 8 to 128 characters.",
      tag: ACCOUNTS_TAG,
      access: "public",
      body: signUp,
      answers: { 201: { description: "A member, signed in; expiresIn is in seconds", schema: newMember } },
      refusals: ["EMAIL_TAKEN"],
    },
    async ({ c, body }) => {
      edge.limits.login(body.email, edge.addressOf(c));
      const passwordHash = await hashPassword(body.password);
      const made = await transaction(pool, async (client) => {
        const user = await createUser(client, { ...body, id: makeCustomerId(), passwordHash });
        if (!user) return undefined;
        await outbox.send(client, "mail", { userId: user.id, purpose: "verify_email" });
        return { user, started: await startSession(client, user.id) };
      });
      if (!made) throw new OnrushError("EMAIL_TAKEN", "There is an account with this e-mail address.");
      await takeOverCart(body.guestId, made.user.id);
      const tokens = await tokensOf(made.user, made.started);
      return jsonAnswer({ id: made.user.id, ...tokens }, 201, { location: "/api/v1/auth/me" });
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/login",
      summary: "Sign in",
      tag: ACCOUNTS_TAG,
      access: "public",
      body: credentials,
      answers: { 200: { description: "Signed in; expiresIn is in seconds", schema: session } },
    },
    async ({ c, body }) => {
      const address = body.email.toLowerCase();
      edge.limits.login(address, edge.addressOf(c));
      const user = await findUserByEmail(pool, address);
      if (!(await verifyPassword(user?.passwordHash, body.password)) || !user) {
        throw new OnrushError("UNAUTHENTICATED", "The e-mail address or the password is wrong.");
      }
      await takeOverCart(body.guestId, user.id);
      return jsonAnswer(await tokensOf(user, await startSession(pool, user.id)));
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/refresh",
      summary: "Get a new access token",
      description:
        "A refresh token is good once: the answer holds the next one. One that comes a second time ends its session, as " +
        "two parties have it then.",
      tag: ACCOUNTS_TAG,
      access: "public",
      body: refreshRequest,
      answers: { 200: { description: "A new pair of tokens, with the roles of now", schema: session } },
    },
    async ({ body }) => {
      const refreshed = await refreshSession(pool, body.refreshToken);
      if (refreshed.type === "reused") {
        log.warn({ sessionId: refreshed.sessionId }, "a refresh token came twice; its session is ended");
        await tell([refreshed.sessionId]);
      }
      const user = refreshed.type === "refreshed" ? await findUser(pool, refreshed.userId) : undefined;
      if (refreshed.type !== "refreshed" || !user) {
        throw new OnrushError("UNAUTHENTICATED", "The refresh token is not valid, or no longer.");
      }
      return jsonAnswer(await tokensOf(user, refreshed));
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/logout",
      summary: "Sign out",
      description:
        "Ends the session of the access token and, where it is sent, of the refresh token: neither is good any more, in " +
        "any process, within two seconds.",
      tag: ACCOUNTS_TAG,
      access: "public",
      body: logOut.optional(),
      bodyOptional: true,
      answers: { 204: { description: "Signed out, or was not signed in" } },
    },
    async ({ caller, body }) => {
      const ended: string[] = [];
      if (caller?.sessionId !== undefined && (await endSession(pool, caller.sessionId, "logout"))) {
        ended.push(caller.sessionId);
      }
      if (body?.refreshToken !== undefined) {
        // Using it up is what shows whose it is.
        const used = await refreshSession(pool, body.refreshToken);
        if (used.type === "refreshed") await endSession(pool, used.sessionId, "logout");
        if (used.type !== "unknown") ended.push(used.sessionId);
      }
      await tell(ended);
      return emptyAnswer();
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/auth/me",
      summary: "The signed-in account",
      tag: ACCOUNTS_TAG,
      access: "member",
      answers: { 200: { description: "The account", schema: account } },
    },
    async ({ caller }) => {
      const user = await findUser(pool, caller.customerId);
      if (!user) throw new OnrushError("UNAUTHENTICATED", "The account is gone, or the token is a server's.");
      return jsonAnswer(representAccount(user));
    },
  );
}

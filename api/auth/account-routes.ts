// What members do with their account: verify the e-mail address, set another password, change the name, have themselves
// erased.
import { OnrushError } from "../../engine/errors.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { eraseMember } from "../../engine/members/erasure.ts";
import { dropLinks, type LinkPurpose, useLink } from "../../engine/members/mailed-links.ts";
import { endSessionsOf } from "../../engine/members/sessions.ts";
import {
  findUser,
  findUserByEmail,
  markEmailVerified,
  renameUser,
  setPasswordHash,
  type User,
} from "../../engine/members/users.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { tellEnded } from "./ended-sessions.ts";
import { hashPassword, verifyPassword } from "./passwords.ts";
import { ACCOUNTS_TAG } from "./routes.ts";
import {
  account,
  changeAccount,
  changePassword,
  emailOnly,
  eraseAccount,
  representAccount,
  resetPassword,
  verifyEmail,
} from "./schemas.ts";
import type { Identity } from "./tokens.ts";

export function accountRoutes(edge: Edge, { pool, redis, outbox, log }: ApiDependencies): void {
  const tell = (ids: readonly string[]) => tellEnded(redis, edge.tokens, ids, log);
  const send = (userId: string, purpose: LinkPurpose) =>
    transaction(pool, (client) => outbox.send(client, "mail", { userId, purpose }));
  const userOf = async (caller: Identity): Promise<User> => {
    const user = await findUser(pool, caller.customerId);
    if (!user) throw new OnrushError("UNAUTHENTICATED", "The account is gone, or the token is a server's.");
    return user;
  };
  const requirePassword = async (user: User, password: string) => {
    if (!(await verifyPassword(user.passwordHash, password))) {
      throw new OnrushError("FORBIDDEN", "The password is wrong.");
    }
  };

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/verify-email",
      summary: "Verify an e-mail address",
      description: "With the token of the link that was sent to it. A link is good once, for 48 hours.",
      tag: ACCOUNTS_TAG,
      access: "public",
      body: verifyEmail,
      answers: { 200: { description: "The account", schema: account } },
    },
    async ({ body }) => {
      const user = await transaction(pool, async (client) => {
        const userId = await useLink(client, body.token, "verify_email");
        return userId === undefined ? undefined : markEmailVerified(client, userId);
      });
      if (!user) throw badLink();
      return jsonAnswer(representAccount(user));
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/verification-mails",
      summary: "Have the verification link sent again",
      tag: ACCOUNTS_TAG,
      access: "member",
      answers: { 202: { description: "It is on its way" } },
      refusals: ["INVALID_STATE"],
    },
    async ({ c, caller }) => {
      const user = await userOf(caller);
      edge.limits.login(user.email, edge.addressOf(c));
      if (user.emailVerifiedAt) throw new OnrushError("INVALID_STATE", "The e-mail address is verified.");
      await send(user.id, "verify_email");
      return jsonAnswer({}, 202);
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/password-resets",
      summary: "Forgot the password",
      description:
        "Sends a link, good once and for an hour, if there is such an account. The answer does not tell whether.",
      tag: ACCOUNTS_TAG,
      access: "public",
      body: emailOnly,
      answers: { 202: { description: "If there is an account, a link is on its way" } },
    },
    async ({ c, body }) => {
      edge.limits.login(body.email, edge.addressOf(c));
      const user = await findUserByEmail(pool, body.email);
      if (user) await send(user.id, "reset_password");
      return jsonAnswer({}, 202);
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/password-resets/confirm",
      summary: "Set a new password by a link",
      description: "Ends every session of the account.",
      tag: ACCOUNTS_TAG,
      access: "public",
      body: resetPassword,
      answers: { 204: { description: "The password is set" } },
    },
    async ({ c, body }) => {
      edge.limits.login(body.token, edge.addressOf(c));
      const passwordHash = await hashPassword(body.password);
      const ended = await transaction(pool, async (client) => {
        const userId = await useLink(client, body.token, "reset_password");
        if (userId === undefined) return undefined;
        await setPasswordHash(client, userId, passwordHash);
        await dropLinks(client, userId);
        // Whoever read this mail reads the address.
        await markEmailVerified(client, userId);
        return endSessionsOf(client, userId, "password");
      });
      if (!ended) throw badLink();
      await tell(ended);
      return emptyAnswer();
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/password",
      summary: "Change the password",
      description: "Ends every other session of the account.",
      tag: ACCOUNTS_TAG,
      access: "member",
      body: changePassword,
      answers: { 204: { description: "The password is set" } },
      refusals: ["FORBIDDEN"],
    },
    async ({ c, caller, body }) => {
      const user = await userOf(caller);
      edge.limits.login(user.email, edge.addressOf(c));
      await requirePassword(user, body.currentPassword);
      const passwordHash = await hashPassword(body.newPassword);
      const ended = await transaction(pool, async (client) => {
        await setPasswordHash(client, user.id, passwordHash);
        await dropLinks(client, user.id);
        return endSessionsOf(client, user.id, "password", caller.sessionId);
      });
      await tell(ended);
      return emptyAnswer();
    },
  );

  endpoint(
    edge,
    {
      method: "patch",
      path: "/api/v1/auth/me",
      summary: "Change the name",
      tag: ACCOUNTS_TAG,
      access: "member",
      body: changeAccount,
      answers: { 200: { description: "The account", schema: account } },
    },
    async ({ caller, body }) => {
      await userOf(caller);
      const user = await renameUser(pool, caller.customerId, body.name);
      if (!user) throw new OnrushError("UNAUTHENTICATED", "The account is gone.");
      return jsonAnswer(representAccount(user));
    },
  );

  endpoint(
    edge,
    {
      method: "delete",
      path: "/api/v1/auth/me",
      summary: "Erase the account",
      description:
        "Erases name, e-mail address, password and the addresses of orders, for good. The orders themselves stay in the " +
        "books under an id that leads to nobody. INVALID_STATE while an order is under way, and for the last administrator.",
      tag: ACCOUNTS_TAG,
      access: "member",
      body: eraseAccount,
      answers: { 204: { description: "Erased; every session is ended" } },
      refusals: ["FORBIDDEN", "INVALID_STATE"],
    },
    async ({ c, caller, body }) => {
      const user = await userOf(caller);
      edge.limits.login(user.email, edge.addressOf(c));
      await requirePassword(user, body.password);
      const { endedSessions } = await eraseMember(pool, user.id, { actor: user.id });
      await tell(endedSessions);
      return emptyAnswer();
    },
  );
}

function badLink(): OnrushError {
  return new OnrushError("UNAUTHENTICATED", "The link is not valid, or no longer.");
}

// Signing in, and who one is.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import { ROLES } from "../../engine/members/roles.ts";
import { findUser, findUserByEmail, type User } from "../../engine/members/users.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { text } from "../http/fields.ts";
import { verifyPassword } from "./passwords.ts";

const TAG = "Accounts";
const credentials = z.object({ email: text(1, 254), password: text(1, 128) }).openapi("Credentials");
const refreshRequest = z.object({ refreshToken: z.string().min(1).max(2_048) }).openapi("RefreshRequest");
const session = z
  .object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.int(), customerId: z.string() })
  .openapi("Session");
const account = z
  .object({
    customerId: z.string(),
    email: z.string(),
    name: z.string(),
    roles: z.array(z.enum(ROLES)),
    createdAt: z.string(),
  })
  .openapi("Account");

export function authRoutes(edge: Edge, { pool }: ApiDependencies): void {
  const startSession = async (user: User) =>
    jsonAnswer({ ...(await edge.tokens.issue(user.id, user.roles)), customerId: user.id });

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/login",
      summary: "Sign in",
      tag: TAG,
      access: "public",
      body: credentials,
      answers: { 200: { description: "Signed in; expiresIn is in seconds", schema: session } },
    },
    async ({ c, body }) => {
      const email = body.email.toLowerCase();
      edge.limits.login(email, edge.addressOf(c));
      const user = await findUserByEmail(pool, email);
      if (!(await verifyPassword(user?.passwordHash, body.password)) || !user) {
        throw new OnrushError("UNAUTHENTICATED", "The e-mail address or the password is wrong.");
      }
      return startSession(user);
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/auth/refresh",
      summary: "Get a new access token",
      tag: TAG,
      access: "public",
      body: refreshRequest,
      answers: { 200: { description: "A new pair of tokens, with the roles of now", schema: session } },
    },
    async ({ body }) => {
      const user = await findUser(pool, await edge.tokens.verifyRefresh(body.refreshToken));
      if (!user) throw new OnrushError("UNAUTHENTICATED", "The account is gone.");
      return startSession(user);
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/auth/me",
      summary: "The signed-in account",
      tag: TAG,
      access: "member",
      answers: { 200: { description: "The account", schema: account } },
    },
    async ({ caller }) => {
      const user = await findUser(pool, caller.customerId);
      if (!user) throw new OnrushError("UNAUTHENTICATED", "The account is gone.");
      const { id, email, name, roles, createdAt } = user;
      return jsonAnswer({ customerId: id, email, name, roles, createdAt });
    },
  );
}

// Who may call an endpoint. Decided before anything else of the request is looked at.
import type { Context } from "hono";
import { OnrushError } from "../../engine/errors.ts";
import type { Role } from "../../engine/members/roles.ts";
import type { ApiEnv } from "../http/env.ts";
import type { Identity, Tokens } from "./tokens.ts";

/** `public`: anybody, but a token that is sent must be valid. `member`: any valid token. `operator`: support or admin. */
export type Access = "public" | "member" | "operator" | "admin";

/** What an endpoint with that access knows of its caller. */
export type CallerOf<A extends Access> = A extends "public" ? Identity | undefined : Identity;

const ROLES_OF: Readonly<Record<Access, readonly Role[] | undefined>> = {
  public: undefined,
  member: undefined,
  operator: ["support", "admin"],
  admin: ["admin"],
};

const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i;

/**
 * Reads the caller's token, if there is one. Answers at once, without a promise, for a token that was verified before.
 *
 * @throws OnrushError with `UNAUTHENTICATED` when there is an `Authorization` that is no valid token of ours
 */
export function identify(c: Context<ApiEnv>, tokens: Tokens): Identity | undefined | Promise<Identity> {
  return identifyBy(c.req.raw.headers.get("authorization"), tokens);
}

/** The same by the header itself. */
export function identifyBy(
  header: string | null | undefined,
  tokens: Tokens,
): Identity | undefined | Promise<Identity> {
  if (header === null || header === undefined) return undefined;
  const token = BEARER.exec(header)?.[1];
  if (token === undefined) throw new OnrushError("UNAUTHENTICATED", "The Authorization header is not a Bearer token.");
  return tokens.verify(token);
}

/** Lets the caller in or not. @throws OnrushError with `UNAUTHENTICATED` or `FORBIDDEN` */
export function authorize<A extends Access>(identity: Identity | undefined, access: A): CallerOf<A> {
  if (access !== "public" && !identity) throw new OnrushError("UNAUTHENTICATED", "This needs an access token.");
  const roles = ROLES_OF[access];
  if (roles && identity) requireRole(identity, roles);
  return identity as CallerOf<A>;
}

/** @throws OnrushError with `FORBIDDEN` unless the caller has one of the roles */
export function requireRole(identity: Identity, roles: readonly Role[]): void {
  if (!roles.some((role) => identity.roles.has(role))) {
    throw new OnrushError("FORBIDDEN", "Your account may not do this.");
  }
}

/** True for those who may see and handle everybody's orders. */
export function isOperator(identity: Identity | undefined): boolean {
  return identity !== undefined && (identity.roles.has("admin") || identity.roles.has("support"));
}

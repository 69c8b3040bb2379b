// Access tokens and API keys: who a request speaks for. Access tokens are JWTs under one fixed algorithm; a verified one is
// remembered until it expires, so that the HMAC is paid once a token and not once an order. One whose session has ended is
// refused at once, remembered or not.

import { createHash } from "node:crypto";
import { type JWTHeaderParameters, jwtVerify, SignJWT } from "jose";
import { OnrushError } from "../../engine/errors.ts";
import { API_KEY_PREFIX, type ApiKey } from "../../engine/members/api-keys.ts";
import { isMemberId } from "../../engine/members/member-id.ts";
import { ROLES, type Role } from "../../engine/members/roles.ts";

/** Who a valid access token or API key speaks for. */
export interface Identity {
  /** The member's id; `key_...` for a server. */
  readonly customerId: string;
  readonly roles: ReadonlySet<Role>;
  /** A server with an API key: it has no orders of its own, and orders in the name of those that it serves. */
  readonly isServer?: boolean;
  /** The session that the token belongs to. */
  readonly sessionId?: string | undefined;
}

export interface Tokens {
  /** An access token, good for {@link ACCESS_TOKEN_SECONDS}. */
  issue(customerId: string, roles: readonly Role[], sessionId: string): Promise<string>;
  /** @throws OnrushError with `UNAUTHENTICATED` when the token is neither a valid access token nor an API key */
  verify(token: string): Identity | Promise<Identity>;
  /** Refuses the tokens of these sessions, and these API keys, from now on. */
  end(ids: Iterable<string>): void;
}

export interface TokenOptions {
  readonly secret: string;
  /** Tokens that were signed with it are still good: set while the secret is being replaced. */
  readonly previousSecret?: string | undefined;
  readonly findApiKey: (secret: string) => Promise<ApiKey | undefined>;
}

export const ACCESS_TOKEN_SECONDS = 15 * 60;
export const ISSUER = "onrush";
export const ACCESS_AUDIENCE = "onrush-api";
const ALGORITHM = "HS256";
/** Longer ones are not ours; they are refused before anything is computed. */
const TOKEN_CHARACTERS_MAX = 2_048;
const REMEMBERED_MAX = 20_000;
/** A key is looked up again after this time, should the news of its end have been lost. */
const API_KEY_REMEMBERED_MS = 10_000;
const KEY_ID_CHARACTERS = 8;

export function createTokens(options: TokenOptions): Tokens {
  const secrets = [options.secret, ...(options.previousSecret ? [options.previousSecret] : [])];
  const keys = new Map(secrets.map((secret) => [keyIdOf(secret), new TextEncoder().encode(secret)]));
  const [signingKey] = keys.entries();
  const remembered = new Map<string, { identity: Identity; expiresAtMs: number }>();
  const ended = new Map<string, number>();

  const remember = (token: string, identity: Identity, expiresAtMs: number) => {
    // Full of tokens that were not seen to expire: start over rather than grow.
    if (remembered.size >= REMEMBERED_MAX) remembered.clear();
    remembered.set(token, { identity, expiresAtMs });
    return identity;
  };

  const keyOf = ({ kid }: JWTHeaderParameters) => {
    const key = kid === undefined ? signingKey?.[1] : keys.get(kid);
    if (!key) throw unauthenticated();
    return key;
  };

  const verifyJwt = async (token: string): Promise<Identity> => {
    const { payload } = await jwtVerify(token, keyOf as Parameters<typeof jwtVerify>[1], {
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience: ACCESS_AUDIENCE,
      requiredClaims: ["sub", "exp", "iat"],
    }).catch((error) => {
      throw unauthenticated(error);
    });
    const { sub, exp, roles, sid } = payload;
    if (!sub || !isMemberId(sub) || exp === undefined || !isRoles(roles)) throw unauthenticated();
    const sessionId = typeof sid === "string" ? sid : undefined;
    if (sessionId !== undefined && ended.has(sessionId)) throw unauthenticated();
    return remember(token, { customerId: sub, roles: new Set(roles), sessionId }, exp * 1_000);
  };

  const verifyApiKey = async (token: string): Promise<Identity> => {
    const key = await options.findApiKey(token);
    if (!key || ended.has(key.id)) throw unauthenticated();
    const identity = { customerId: key.id, roles: new Set(key.roles), isServer: true };
    const until = Math.min(Date.now() + API_KEY_REMEMBERED_MS, key.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY);
    return remember(token, identity, until);
  };

  const verifyAnew = async (token: string): Promise<Identity> => {
    if (token.length > TOKEN_CHARACTERS_MAX) throw unauthenticated();
    return token.startsWith(API_KEY_PREFIX) ? verifyApiKey(token) : verifyJwt(token);
  };

  return {
    issue(customerId, roles, sessionId) {
      if (!signingKey) throw new Error("no key to sign with");
      return new SignJWT({ roles, sid: sessionId })
        .setProtectedHeader({ alg: ALGORITHM, typ: "JWT", kid: signingKey[0] })
        .setSubject(customerId)
        .setIssuer(ISSUER)
        .setAudience(ACCESS_AUDIENCE)
        .setIssuedAt()
        .setExpirationTime(`${ACCESS_TOKEN_SECONDS}s`)
        .sign(signingKey[1]);
    },
    verify(token) {
      const known = remembered.get(token);
      if (!known) return verifyAnew(token);
      if (known.expiresAtMs > Date.now()) {
        const { identity } = known;
        if (ended.size === 0 || !ended.has(identity.sessionId ?? identity.customerId)) return identity;
        remembered.delete(token);
        throw unauthenticated();
      }
      remembered.delete(token);
      return verifyAnew(token);
    },
    end(ids) {
      const now = Date.now();
      for (const id of ids) ended.set(id, now + ENDED_KEPT_SECONDS * 1_000);
      // Oldest first, as they were put in.
      for (const [id, untilMs] of ended) {
        if (untilMs > now) break;
        ended.delete(id);
      }
    },
  };
}

/** After this time every access token of an ended session has expired by itself. */
export const ENDED_KEPT_SECONDS = ACCESS_TOKEN_SECONDS + 60;

/** Names a secret without giving anything of it away that would help to find it. */
function keyIdOf(secret: string): string {
  return createHash("sha256").update(`onrush key id ${secret}`).digest("base64url").slice(0, KEY_ID_CHARACTERS);
}

function isRoles(value: unknown): value is Role[] {
  return Array.isArray(value) && value.every((role) => (ROLES as readonly unknown[]).includes(role));
}

/** Says nothing of what was wrong with the token: that would help only whoever forges one. */
function unauthenticated(cause?: unknown): OnrushError {
  return new OnrushError("UNAUTHENTICATED", "The token is not valid, or no longer.", {}, { cause });
}

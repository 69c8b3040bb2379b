// Access and refresh tokens: JWTs under one fixed algorithm, told apart by their audience, so that neither can be used as
// the other. A verified access token is remembered until it expires: the HMAC is paid once a token, not once an order.
import { jwtVerify, SignJWT } from "jose";
import { OnrushError } from "../../engine/errors.ts";
import { ROLES, type Role } from "../../engine/members/roles.ts";

/** Who a valid access token speaks for. */
export interface Identity {
  readonly customerId: string;
  readonly roles: ReadonlySet<Role>;
}

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Seconds until the access token expires. */
  readonly expiresIn: number;
}

export interface Tokens {
  issue(customerId: string, roles: readonly Role[]): Promise<TokenPair>;
  /** @throws OnrushError with `UNAUTHENTICATED` when the token is anything but a valid access token */
  verifyAccess(token: string): Identity | Promise<Identity>;
  /** @returns the customer's id. @throws OnrushError with `UNAUTHENTICATED` */
  verifyRefresh(token: string): Promise<string>;
}

export const ACCESS_TOKEN_SECONDS = 15 * 60;
export const REFRESH_TOKEN_SECONDS = 14 * 24 * 3_600;
export const ISSUER = "onrush";
export const ACCESS_AUDIENCE = "onrush-api";
export const REFRESH_AUDIENCE = "onrush-refresh";
const ALGORITHM = "HS256";
const CUSTOMER_ID = /^cus_[0-9a-z]{24}$/;
/** Longer ones are not ours; they are refused before anything is computed. */
const TOKEN_CHARACTERS_MAX = 2_048;
const REMEMBERED_MAX = 20_000;

export function createTokens(secret: string): Tokens {
  const key = new TextEncoder().encode(secret);
  const remembered = new Map<string, { identity: Identity; expiresAtMs: number }>();

  const sign = (customerId: string, audience: string, seconds: number, roles?: readonly Role[]) =>
    new SignJWT(roles ? { roles } : {})
      .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
      .setSubject(customerId)
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${seconds}s`)
      .sign(key);

  const verify = async (token: string, audience: string) => {
    if (token.length > TOKEN_CHARACTERS_MAX) throw unauthenticated();
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience,
        requiredClaims: ["sub", "exp", "iat"],
      });
      return payload;
    } catch (error) {
      throw unauthenticated(error);
    }
  };

  const verifyAnew = async (token: string): Promise<Identity> => {
    const { sub, exp, roles } = await verify(token, ACCESS_AUDIENCE);
    if (!sub || !CUSTOMER_ID.test(sub) || exp === undefined || !isRoles(roles)) throw unauthenticated();
    const identity = { customerId: sub, roles: new Set(roles) };
    // Full of tokens that were not seen to expire: start over rather than grow.
    if (remembered.size >= REMEMBERED_MAX) remembered.clear();
    remembered.set(token, { identity, expiresAtMs: exp * 1_000 });
    return identity;
  };

  return {
    async issue(customerId, roles) {
      const [accessToken, refreshToken] = await Promise.all([
        sign(customerId, ACCESS_AUDIENCE, ACCESS_TOKEN_SECONDS, roles),
        sign(customerId, REFRESH_AUDIENCE, REFRESH_TOKEN_SECONDS),
      ]);
      return { accessToken, refreshToken, expiresIn: ACCESS_TOKEN_SECONDS };
    },
    verifyAccess(token) {
      const known = remembered.get(token);
      if (!known) return verifyAnew(token);
      if (known.expiresAtMs > Date.now()) return known.identity;
      remembered.delete(token);
      throw unauthenticated();
    },
    async verifyRefresh(token) {
      const { sub } = await verify(token, REFRESH_AUDIENCE);
      if (!sub || !CUSTOMER_ID.test(sub)) throw unauthenticated();
      return sub;
    },
  };
}

function isRoles(value: unknown): value is Role[] {
  return Array.isArray(value) && value.every((role) => (ROLES as readonly unknown[]).includes(role));
}

/** Says nothing of what was wrong with the token: that would help only whoever forges one. */
function unauthenticated(cause?: unknown): OnrushError {
  return new OnrushError("UNAUTHENTICATED", "The token is not valid, or no longer.", {}, { cause });
}

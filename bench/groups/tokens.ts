// What a token costs: the same orders by a crowd of guests and by one of members, in turn. Both crowds order again and again,
// in one sale whose limit nobody reaches, so that the buyers differ in nothing but the token. Each token is verified once
// before it counts, as a member's is who looked at the sale before it opened.
import { randomBytes, randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { Books, type Tally } from "../books.ts";
import type { Context } from "../context.ts";
import type { Figure } from "../figures.ts";
import { type Instance, JWT_SECRET } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import type { Regular } from "../load/order-request.ts";
import { AMPLE, type Shop } from "../shop.ts";

const CROWD = 500;
const LIMIT = 1_000_000;
const WARM_UP_SECONDS = 2;
/** Longer turns add nothing but time: it is the alternation that takes the machine out of the ratio. */
const SECONDS_MAX = 4;

export async function measureTokens(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const sale = await shop.openSale("bench tokens", AMPLE, undefined, LIMIT);
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  const api = { url: shop.ordersUrl, pid: instance.pids["api"] ?? 0, order: sale, keyed: true, status: 202 };
  const guests = Array.from({ length: CROWD }, (): Regular => ({ customerId: randomUUID() }));
  const members = await Promise.all(Array.from({ length: CROWD }, makeMember));
  const turns: { figure: Figure; target: Target }[] = [
    { figure: "guest_rps", target: { ...api, name: "guest", crowd: guests } },
    { figure: "token_rps", target: { ...api, name: "token", crowd: members } },
  ];
  const count = ({ answered, sent }: Tally) => {
    tally.answered += answered;
    tally.sent += sent;
  };
  const seconds = Math.min(context.options.seconds, SECONDS_MAX);
  try {
    for (const { target } of turns) count(await context.burst(target, { seconds: WARM_UP_SECONDS }));
    for (let round = 1; round <= context.options.shortRounds; round += 1) {
      for (const { figure, target } of round % 2 === 1 ? turns : turns.toReversed()) {
        count(await context.measure(`tokens ${round}`, figure, target, { seconds }));
      }
    }
    context.audit("tokens", await books.auditAdmission(sale, tally));
  } finally {
    await books.close();
  }
}

/** A member's access token as a login gives it; nobody reads the account when an order is placed. */
async function makeMember(): Promise<Regular> {
  const customerId = `cus_${randomBytes(12).toString("hex")}`;
  const token = await new SignJWT({ roles: ["customer"], sid: randomUUID() })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(customerId)
    .setIssuer("onrush")
    .setAudience("onrush-api")
    .setIssuedAt()
    .setExpirationTime("15m")
    .sign(new TextEncoder().encode(JWT_SECRET));
  return { customerId, token };
}

// Erasure of a member's personal data by an administrator: as by the member, on record, and never the last administrator.
import { describe, expect, test } from "vitest";
import { listAudit } from "../../engine/ledger/audit.ts";
import { grantRole } from "../../engine/members/grants.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { adjustPoints } from "../../engine/points/adjustments.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const PASSWORD = "correct horse battery";
let count = 0;

async function member() {
  count += 1;
  const email = `member${count}@example.com`;
  const body = { email, password: PASSWORD, name: "김하늘" };
  const answer = await shop.call("POST", "/api/v1/auth/signup", { body });
  expect(answer.status).toBe(201);
  return { ...answer.body, email };
}

async function administrator() {
  const { id, email } = await member();
  await grantRole(shop.pool, id, "admin", { actor: "cli:test" });
  const { body } = await shop.call("POST", "/api/v1/auth/login", { body: { email, password: PASSWORD } });
  return { id, token: body.accessToken };
}

const erase = (id: string, token = shop.admin, body?: unknown) =>
  shop.call("DELETE", `/api/v1/users/${id}`, { token, ...(body !== undefined && { body }) });
const isAlive = async (id: string) =>
  (await shop.pool.query("SELECT FROM users WHERE id = $1 AND erased_at IS NULL", [id])).rows.length === 1;
const trail = (id: string) => listAudit(shop.pool, { subject: `user:${id}`, action: "user.erase", limit: 10 });

async function buy(customerId: string, status: string): Promise<void> {
  await shop.pool.query(
    `INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
       price, payable, currency, payment_method, address, reserved_until, placed_at)
     VALUES (gen_random_uuid(), 'catalog', 0, 1, 1, 1, $1, $2, 2, 'sold', 5, 5, 'KRW', 'card',
       '{"street": "세종대로 1"}', now(), now())`,
    [customerId, status],
  );
}

describe("an administrator", () => {
  test("erases a member: the person is gone, the books are not, the trail says who did it and why", async () => {
    const { id, email, accessToken: token, refreshToken } = await member();
    const admin = await administrator();
    await buy(id, "CONFIRMED");
    expect((await erase(id, admin.token, { reason: "편지로 요청" })).status).toBe(204);
    // This looks at the token alone.
    expect((await shop.call("GET", "/api/v1/orders", { token })).status).toBe(401);
    expect((await shop.call("POST", "/api/v1/auth/refresh", { body: { refreshToken } })).status).toBe(401);
    const login = { email, password: PASSWORD };
    expect((await shop.call("POST", "/api/v1/auth/login", { body: login })).status).toBe(401);
    const left = await shop.pool.query(
      `SELECT row_to_json(u)::text AS person, row_to_json(o)::text AS bought
       FROM users u JOIN orders o ON o.customer_id = u.id WHERE u.id = $1`,
      [id],
    );
    expect(left.rows).toHaveLength(1);
    expect(JSON.stringify(left.rows)).not.toMatch(/member\d|하늘|세종대로/);
    expect(await trail(id)).toMatchObject([{ actor: admin.id, reason: "편지로 요청", before: null, after: null }]);
    expect((await erase(id)).body.code).toBe("NOT_FOUND");
    expect(await trail(id)).toHaveLength(1);
    expect((await shop.call("POST", "/api/v1/auth/signup", { body: { ...login, name: "새 사람" } })).status).toBe(201);
  });

  test("ends a member's points: what there is is forfeited, what came and went stays in the books", async () => {
    const { id } = await member();
    await adjustPoints(shop.pool, { customerId: id, amount: 70 }, { actor: "cli:test" });
    expect((await erase(id)).status).toBe(204);
    const points = await shop.call("GET", `/api/v1/points/${id}`, { token: shop.admin });
    expect([points.status, points.body]).toMatchObject([200, { balance: 0 }]);
    const entries = await shop.call("GET", `/api/v1/points/${id}/entries`, { token: shop.admin });
    expect(entries.body.items).toMatchObject([{ kind: "forfeit", amount: -70 }, { kind: "adjust" }]);
    const gift = { token: shop.admin, body: { amount: 5, reason: "x" } };
    expect((await shop.call("POST", `/api/v1/points/${id}/adjustments`, gift)).body.code).toBe("NOT_FOUND");
  });

  test.each(["RESERVED", "PAYING", "REFUND_PENDING"])("does not while an order is %s", async (status) => {
    const { id } = await member();
    await buy(id, status);
    const answer = await erase(id);
    expect([answer.status, answer.body.code]).toEqual([409, "INVALID_STATE"]);
    expect([await isAlive(id), await trail(id)]).toEqual([true, []]);
  });

  test("needs neither a body nor a reason; what is no member and no reason is refused", async () => {
    const { id, email } = await member();
    for (const body of ["{", "[]", { reason: "" }, { reason: 7 }, { reason: "x".repeat(501) }]) {
      const answer = await erase(id, shop.admin, body);
      expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
    }
    for (const nobody of [makeCustomerId(), email, "cus_x", "%00", "key_000000000000000000000000", "me"]) {
      expect([nobody, (await erase(nobody)).status]).toEqual([nobody, 404]);
    }
    expect(await isAlive(id)).toBe(true);
    expect((await erase(id)).status).toBe(204);
  });

  test("is nobody else", async () => {
    const { id, accessToken: own } = await member();
    const support = await accessToken(makeCustomerId(), ["support"]);
    expect((await erase(id, support)).status).toBe(403);
    expect((await erase(id, own)).status).toBe(403);
    expect((await shop.call("DELETE", `/api/v1/users/${id}`)).status).toBe(401);
    expect(await isAlive(id)).toBe(true);
  });
});

describe("the last administrator", () => {
  const administrators = async () =>
    (await shop.pool.query("SELECT FROM users WHERE 'admin' = ANY(roles) AND erased_at IS NULL")).rows.length;
  const lone = async () => {
    await shop.pool.query("UPDATE users SET roles = '{customer}' WHERE 'admin' = ANY(roles)");
    return await administrator();
  };

  test("stays, whoever asks", async () => {
    const { id, token } = await lone();
    const byOther = await erase(id);
    expect([byOther.status, byOther.body.code]).toEqual([409, "INVALID_STATE"]);
    expect((await erase(id, token)).body.code).toBe("INVALID_STATE");
    const bySelf = await shop.call("DELETE", "/api/v1/auth/me", { token, body: { password: PASSWORD } });
    expect([bySelf.status, bySelf.body.code]).toEqual([409, "INVALID_STATE"]);
    expect(await administrators()).toBe(1);
    const other = await administrator();
    expect((await erase(id, other.token)).status).toBe(204);
    expect(await administrators()).toBe(1);
  });

  test("is one of two who erase one another at once", async () => {
    for (let round = 0; round < 10; round += 1) {
      const [a, b] = [await lone(), await administrator()];
      const answers = await Promise.all([erase(a.id, b.token), erase(b.id, a.token), erase(b.id), erase(a.id)]);
      expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
      expect(await administrators()).toBe(1);
    }
  });
});

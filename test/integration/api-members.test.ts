// A member's account from sign-up to erasure, sessions and keys, over two processes that share nothing but their servers.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, test, vi } from "vitest";
import { createApp, createEdge } from "../../api/app.ts";
import { type EndedSessions, watchEndedSessions } from "../../api/auth/ended-sessions.ts";
import { CHANNELS } from "../../engine/keys.ts";
import { deleteExpired } from "../../engine/members/sessions.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { subscriberConnection } from "../../engine/redis/connection.ts";
import { folderTransport } from "../../persister/jobs/mail/transport.ts";
import { startTestWorker } from "../support/assembly.ts";
import { scratchFolder } from "../support/scratch.ts";
import { type App, accessToken, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const mails = scratchFolder("mail");
const PASSWORD = "correct horse battery";
let worker: Awaited<ReturnType<typeof startTestWorker>>;
/** Another process: it hears of ended sessions over Redis. */
let elsewhere: App;
let ended: EndedSessions;
const subscriber = subscriberConnection(shop.redis.url);

beforeAll(async () => {
  const servers = { databaseUrl: shop.databaseUrl, redisUrl: shop.redis.url };
  const mail = { transport: folderTransport(mails, "shop@onrush.local"), publicUrl: "https://shop.example" };
  worker = await startTestWorker(servers, {}, { mail });
  const edge = createEdge(shop.deps);
  elsewhere = createApp(shop.deps, edge);
  ended = await watchEndedSessions(shop.pool, edge.tokens, shop.deps.log);
  subscriber.on("message", (_channel: string, text: string) => ended.hear(text));
  await subscriber.subscribe(CHANNELS.sessions);
});
afterAll(async () => {
  ended.stop();
  subscriber.disconnect();
  await worker.stop();
});

const until = (assertion: () => Promise<void> | void) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const post = (where: string, body?: unknown, token?: string) =>
  shop.call("POST", `/api/v1/auth/${where}`, { body, token });
const me = (token: string, app?: App) => shop.call("GET", "/api/v1/auth/me", { token, ...(app && { app }) });
let count = 0;

async function member(options: { password?: string } = {}) {
  count += 1;
  const email = `member${count}@example.com`;
  const { status, body } = await post("signup", { email, password: options.password ?? PASSWORD, name: "김하늘" });
  expect(status).toBe(201);
  return { ...body, email };
}

/** The token of the newest link that was mailed to an address. */
async function mailedToken(email: string, kind: "verify-email" | "reset-password"): Promise<string> {
  let token: string | undefined;
  await until(() => {
    const texts = readdirSync(mails)
      .filter((name) => name.endsWith(".eml"))
      .map((name) => readFileSync(path.join(mails, name), "utf8"))
      .filter((text) => text.includes(`To: ${email}`))
      // Quoted-printable or base64 bodies: both are read.
      .map(decodeMail);
    const links = texts.flatMap((text) => [...text.matchAll(new RegExp(`/account/${kind}#token=([\\w-]{43})`, "g"))]);
    token = links.at(-1)?.[1];
    expect(token).toBeDefined();
  });
  return token as string;
}

function decodeMail(text: string): string {
  const [head = "", ...rest] = text.split("\n\n");
  const body = rest.join("\n\n");
  if (/content-transfer-encoding: base64/i.test(head)) return Buffer.from(body, "base64").toString("utf8");
  return body.replaceAll("=\n", "").replaceAll("=3D", "=");
}

describe("signing up", () => {
  it("makes a member who is signed in", async () => {
    const { id, customerId, email, accessToken: token } = await member();
    expect(id).toBe(customerId);
    expect((await me(token)).body).toEqual({
      customerId: id,
      email,
      emailVerified: false,
      name: "김하늘",
      roles: ["customer"],
      createdAt: expect.any(String),
    });
  });

  it("refuses an address that is taken, in any case, and makes nothing", async () => {
    const { email } = await member();
    const before = await shop.pool.query("SELECT count(*) FROM users");
    const again = await post("signup", { email: email.toUpperCase(), password: PASSWORD, name: "x" });
    expect([again.status, again.body.code]).toEqual([409, "EMAIL_TAKEN"]);
    expect((await shop.pool.query("SELECT count(*) FROM users")).rows).toEqual(before.rows);
  });

  it("of one address twenty times at once makes one member", async () => {
    const body = { email: "crowd@example.com", password: PASSWORD, name: "x" };
    const answers = await Promise.all(Array.from({ length: 20 }, () => post("signup", body)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
  });

  test.each([
    [{}],
    [{ email: "no address", password: PASSWORD, name: "x" }],
    [{ email: "a@example.com", password: "short", name: "x" }],
    [{ email: "a@example.com", password: "x".repeat(129), name: "x" }],
    [{ email: "a@example.com", password: PASSWORD, name: "" }],
    [{ email: "a@example.com", password: PASSWORD, name: "\ud800" }],
    [{ email: ["a@example.com"], password: PASSWORD, name: "x" }],
  ])("with %j: 400", async (body) => {
    expect((await post("signup", body)).body.code).toBe("VALIDATION");
  });
});

describe("a session", () => {
  it("goes on by refresh tokens that are good once; one that comes again ends it everywhere", async () => {
    const first = await member();
    const second = await post("refresh", { refreshToken: first.refreshToken });
    expect(second.status).toBe(200);
    const third = await post("refresh", { refreshToken: second.body.refreshToken });
    expect((await me(third.body.accessToken, elsewhere)).status).toBe(200);

    expect((await post("refresh", { refreshToken: first.refreshToken })).status).toBe(401);
    expect((await post("refresh", { refreshToken: third.body.refreshToken })).status).toBe(401);
    expect((await me(third.body.accessToken)).status).toBe(401);
    await until(async () => expect((await me(third.body.accessToken, elsewhere)).status).toBe(401));
  });

  it("ends when one refresh token is used by many at once, and at most one of them has got a next one", async () => {
    const { refreshToken } = await member();
    const answers = await Promise.all(Array.from({ length: 10 }, () => post("refresh", { refreshToken })));
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    for (const { status, body } of answers) {
      if (status === 200) expect((await post("refresh", { refreshToken: body.refreshToken })).status).toBe(401);
    }
  });

  it("ends with signing out: neither of its tokens is good, in any process; another session goes on", async () => {
    const { email, accessToken: token, refreshToken } = await member();
    const other = (await post("login", { email, password: PASSWORD })).body;
    expect((await me(token, elsewhere)).status).toBe(200);
    expect((await post("logout", undefined, token)).status).toBe(204);
    expect((await me(token)).status).toBe(401);
    await until(async () => expect((await me(token, elsewhere)).status).toBe(401));
    expect((await post("refresh", { refreshToken })).status).toBe(401);
    expect((await me(other.accessToken)).status).toBe(200);
  });

  it("ends by its refresh token alone, too", async () => {
    const { accessToken: token, refreshToken } = await member();
    expect((await post("logout", { refreshToken })).status).toBe(204);
    expect((await me(token)).status).toBe(401);
    expect((await post("logout", { refreshToken })).status).toBe(204);
    expect((await post("logout", { refreshToken: 7 })).status).toBe(400);
  });

  it("is deleted days after its end, with its tokens", async () => {
    const { refreshToken, id } = await member();
    await shop.pool.query("UPDATE sessions SET expires_at = now() - interval '8 days' WHERE user_id = $1", [id]);
    expect(await deleteExpired(shop.pool)).toBe(1);
    expect((await post("refresh", { refreshToken })).status).toBe(401);
  });
});

describe("links by e-mail", () => {
  it("verify the address, once", async () => {
    const { email, accessToken: token } = await member();
    const link = await mailedToken(email, "verify-email");
    const verified = await post("verify-email", { token: link });
    expect([verified.status, verified.body]).toEqual([200, expect.objectContaining({ email, emailVerified: true })]);
    expect((await post("verify-email", { token: link })).status).toBe(401);
    expect((await post("verification-mails", undefined, token)).body.code).toBe("INVALID_STATE");
  });

  it("set a new password, which ends every session", async () => {
    const { email, accessToken: token, refreshToken } = await member();
    expect((await post("password-resets", { email })).status).toBe(202);
    const link = await mailedToken(email, "reset-password");
    expect((await post("verify-email", { token: link })).status).toBe(401);
    expect((await post("password-resets/confirm", { token: link, password: "short" })).status).toBe(400);
    expect((await post("password-resets/confirm", { token: link, password: "another password" })).status).toBe(204);
    expect((await post("password-resets/confirm", { token: link, password: "a third password" })).status).toBe(401);
    expect((await me(token)).status).toBe(401);
    expect((await post("refresh", { refreshToken })).status).toBe(401);
    expect((await post("login", { email, password: PASSWORD })).status).toBe(401);
    expect((await post("login", { email, password: "another password" })).status).toBe(200);
  });

  it("are not told of by the answer for an address that nobody has", async () => {
    const { email } = await member();
    const [known, unknown] = [
      await post("password-resets", { email }),
      await post("password-resets", { email: "no@example.com" }),
    ];
    expect([known.status, known.text]).toEqual([unknown.status, unknown.text]);
  });

  it("keep their secret out of the queue and of the tables", async () => {
    const { email } = await member();
    const link = await mailedToken(email, "verify-email");
    const jobs = await shop.pool.query("SELECT data::text FROM pgboss.job WHERE name = 'mail'");
    expect(JSON.stringify(jobs.rows)).not.toContain(link);
    const links = await shop.pool.query("SELECT encode(hash, 'base64') AS hash FROM mailed_links");
    expect(JSON.stringify(links.rows)).not.toContain(link);
  });
});

describe("the account", () => {
  it("gets another password for the right one, which ends the other sessions", async () => {
    const { email, accessToken: token } = await member();
    const other = (await post("login", { email, password: PASSWORD })).body;
    const wrong = await post("password", { currentPassword: "wrong", newPassword: "another password" }, token);
    expect([wrong.status, wrong.body.code]).toEqual([403, "FORBIDDEN"]);
    const body = { currentPassword: PASSWORD, newPassword: "another password" };
    expect((await post("password", body, token)).status).toBe(204);
    expect((await me(token)).status).toBe(200);
    expect((await me(other.accessToken)).status).toBe(401);
  });

  it("gets another name", async () => {
    const { accessToken: token } = await member();
    const answer = await shop.call("PATCH", "/api/v1/auth/me", { token, body: { name: "이바다" } });
    expect(answer.body).toMatchObject({ name: "이바다" });
  });

  it("is erased: the person is gone, the books are not", async () => {
    const { id, email, accessToken: token } = await member();
    await shop.pool.query(
      `INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
         price, payable, currency, payment_method, address, reserved_until, placed_at)
       VALUES (gen_random_uuid(), 'catalog', 0, 1, 1, 1, $1, 'RESERVED', 2, 'reserved', 5, 5, 'KRW', 'card',
         '{"street": "세종대로 1"}', now(), now())`,
      [id],
    );
    const erase = (password: string) => shop.call("DELETE", "/api/v1/auth/me", { token, body: { password } });
    expect((await erase("wrong")).status).toBe(403);
    expect((await erase(PASSWORD)).body.code).toBe("INVALID_STATE");
    await shop.pool.query("UPDATE orders SET status = 'CONFIRMED', stock_state = 'sold' WHERE customer_id = $1", [id]);
    expect((await erase(PASSWORD)).status).toBe(204);
    expect((await me(token)).status).toBe(401);
    expect((await post("login", { email, password: PASSWORD })).status).toBe(401);
    const left = await shop.pool.query(
      "SELECT row_to_json(u)::text AS person, row_to_json(o)::text AS bought FROM users u JOIN orders o ON o.customer_id = u.id WHERE u.id = $1",
      [id],
    );
    expect(left.rows).toHaveLength(1);
    expect(JSON.stringify(left.rows)).not.toMatch(/member\d|하늘|세종대로/);
    expect((await post("signup", { email, password: PASSWORD, name: "새 사람" })).status).toBe(201);
  });
});

describe("keys for servers", () => {
  const keys = (method: string, options: { id?: string; token?: string; body?: unknown }) =>
    shop.call(method, `/api/v1/api-keys${options.id ? `/${options.id}` : ""}`, options);
  const make = async () =>
    (await keys("POST", { token: shop.admin, body: { name: "warehouse", roles: ["support"] } })).body as unknown as {
      id: string;
      key: string;
    };

  it("work like a token of their roles, until they are revoked, in every process", async () => {
    const { id, key } = await make();
    expect(key).toMatch(/^ork_[\w-]{43}$/);
    const listed = await keys("GET", { token: shop.admin });
    expect(listed.text).toContain(id);
    expect(listed.text).not.toContain(key);
    const status = async (app?: App) =>
      (await shop.call("GET", "/api/v1/api-keys", { token: key, ...(app && { app }) })).status;
    expect([await status(), await status(elsewhere)]).toEqual([403, 403]);
    expect((await keys("DELETE", { id, token: shop.admin })).status).toBe(204);
    expect(await status()).toBe(401);
    await until(async () => expect(await status(elsewhere)).toBe(401));
    expect((await keys("DELETE", { id, token: shop.admin })).status).toBe(404);
  });

  it("order in the name of the customer that they send", async () => {
    const { key } = await make();
    const { saleId, productId } = await shop.sale({ stock: 5 });
    const order = (customerId?: unknown) =>
      shop.call("POST", "/api/v1/orders", {
        token: key,
        body: { saleId, customerId, items: [{ productId, quantity: 1 }] },
      });
    const customerId = makeCustomerId();
    expect((await order(customerId)).status).toBe(202);
    expect((await order()).status).toBe(400);
    expect((await order("cus_x")).status).toBe(400);
  });

  it("are made by administrators only, of known roles, with an end in the future", async () => {
    const support = await accessToken(makeCustomerId(), ["support"]);
    expect((await keys("POST", { token: support, body: {} })).status).toBe(403);
    expect((await keys("POST", { body: {} })).status).toBe(401);
    for (const body of [{}, { name: "x", roles: ["root"] }, { name: "x", roles: [] }]) {
      expect((await keys("POST", { token: shop.admin, body })).status).toBe(400);
    }
    const past = { name: "x", roles: ["admin"], expiresAt: "2020-01-01T00:00:00Z" };
    expect((await keys("POST", { token: shop.admin, body: past })).status).toBe(400);
  });
});

describe("a secret that is replaced", () => {
  it("leaves tokens of the one before it good, and refuses those of any other", async () => {
    const { accessToken: token } = await member();
    const secret = "n".repeat(32);
    const renewed = shop.appWith({ jwtSecret: secret, jwtSecretPrevious: shop.deps.config.jwtSecret });
    const forgotten = shop.appWith({ jwtSecret: secret });
    expect((await me(token, renewed)).status).toBe(200);
    expect((await me(token, forgotten)).status).toBe(401);
  });
});

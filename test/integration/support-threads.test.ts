// Support threads over HTTP: whose they are, what may be written in them, how they are read, and what bounds them.
import { describe, expect, test } from "vitest";
import { eraseMember } from "../../engine/members/erasure.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, CONFIG, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const THREADS = "/api/v1/support/threads";
const agent = await accessToken(makeCustomerId(), ["support"]);

interface View {
  readonly id: string;
  readonly version: number;
  readonly state: string;
  readonly unread: number;
  readonly customerRead: number;
  readonly agentRead: number;
  readonly from: string;
  readonly text: string;
  readonly items: readonly View[];
  readonly nextCursor?: string;
}

async function ask(method: string, path: string, token: string | undefined, body?: unknown, app = shop.app) {
  const answer = await shop.call(method, path, { token, app, ...(body !== undefined && { body }) });
  return {
    status: answer.status,
    code: answer.body.code,
    headers: answer.headers,
    ...(JSON.parse(answer.text) as View),
  };
}

async function member() {
  const id = makeCustomerId();
  return { id, token: await accessToken(id) };
}

async function openThread(token: string, subject = "Where is it?", text = "Order 7 has not come.") {
  const opened = await ask("POST", THREADS, token, { subject, text });
  expect(opened).toMatchObject({ status: 201, version: 1, state: "open", customerRead: 0, agentRead: 0, subject });
  return opened.id;
}

describe("a thread", () => {
  test("is answered by an agent, read by both, closed, and opened again by a message", async () => {
    const { token } = await member();
    const id = await openThread(token);
    const messages = `${THREADS}/${id}/messages`;
    expect(await ask("POST", messages, agent, { text: "On its way. <b>Soon</b> 곧 🎁" })).toMatchObject({
      ...{ status: 201, version: 2, from: "agent", text: "On its way. <b>Soon</b> 곧 🎁" },
    });
    const unread = async (as: string) => (await ask("GET", THREADS, as)).items.find((item) => item.id === id)?.unread;
    expect([await unread(token), await unread(agent)]).toEqual([1, 1]);
    const read = (as: string, version: number) => ask("POST", `${THREADS}/${id}/read`, as, { version });
    expect(await read(agent, 1)).toMatchObject({ status: 200, version: 3, agentRead: 1, customerRead: 0 });
    expect(await read(token, 99)).toMatchObject({ version: 4, agentRead: 1, customerRead: 3 });
    // Marks that do not move are no change.
    for (const [as, version] of [
      [token, 1],
      [token, 99],
      [agent, 1],
    ] as const) {
      expect(await read(as, version)).toMatchObject({ status: 200, version: 4, agentRead: 1, customerRead: 3 });
    }
    expect([await unread(token), await unread(agent)]).toEqual([0, 0]);
    const change = (as: string, state: string) => ask("PATCH", `${THREADS}/${id}`, as, { state });
    expect(await change(agent, "closed")).toMatchObject({ status: 200, state: "closed", version: 5 });
    expect(await change(token, "closed")).toMatchObject({ status: 200, state: "closed", version: 5 });
    expect(await ask("POST", messages, token, { text: "It came!" })).toMatchObject({ status: 201, version: 6 });
    expect(await ask("GET", `${THREADS}/${id}`, token)).toMatchObject({ status: 200, state: "open", version: 6 });
    expect(await ask("GET", messages, token)).toMatchObject({
      items: [
        { version: 6, from: "customer", text: "It came!" },
        { version: 2, from: "agent" },
        { version: 1, from: "customer", text: "Order 7 has not come." },
      ],
    });
  });

  test("is its member's and the agents', and 404 to everybody else, who changes nothing", async () => {
    const owner = await member();
    const stranger = await member();
    const id = await openThread(owner.token);
    const tries: [string, string, unknown?][] = [
      ["GET", `${THREADS}/${id}`],
      ["GET", `${THREADS}/${id}/messages`],
      ["POST", `${THREADS}/${id}/messages`, { text: "hello" }],
      ["POST", `${THREADS}/${id}/read`, { version: 1 }],
      ["PATCH", `${THREADS}/${id}`, { state: "closed" }],
    ];
    for (const [method, path, body] of tries) {
      expect(await ask(method, path, stranger.token, body)).toMatchObject({ status: 404, code: "NOT_FOUND" });
      expect(await ask(method, path, undefined, body)).toMatchObject({ status: 401 });
      for (const none of [crypto.randomUUID(), "x", "%00", "1"]) {
        const answer = await ask(method, path.replace(id, none), agent, body);
        expect([none, answer.status, answer.code]).toEqual([none, 404, "NOT_FOUND"]);
      }
    }
    expect((await ask("GET", THREADS, stranger.token)).items).toEqual([]);
    expect((await ask("GET", `${THREADS}?customerId=${owner.id}`, stranger.token)).items).toEqual([]);
    expect(await ask("GET", `${THREADS}/${id.toUpperCase()}`, owner.token)).toMatchObject({ status: 200, version: 1 });
    expect((await ask("GET", `${THREADS}?customerId=${owner.id}`, agent)).items).toMatchObject([{ id, version: 1 }]);
  });

  test("of an agent's own is a customer's thread to the agent", async () => {
    const id = makeCustomerId();
    const both = await accessToken(id, ["customer", "support"]);
    const thread = await openThread(both);
    expect(await ask("POST", `${THREADS}/${thread}/messages`, both, { text: "me" })).toMatchObject({
      from: "customer",
    });
    expect(await ask("POST", `${THREADS}/${thread}/messages`, agent, { text: "you" })).toMatchObject({ from: "agent" });
  });

  test("goes with its member's erasure", async () => {
    const { id, token } = await member();
    await shop.pool.query(
      "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@shop.example', 'Kim', 'x')",
      [id],
    );
    const thread = await openThread(token);
    await eraseMember(shop.pool, id, { actor: "test" });
    expect(await ask("GET", `${THREADS}/${thread}/messages`, agent)).toMatchObject({ status: 404 });
    const left = await shop.pool.query("SELECT FROM support_messages WHERE thread_id = $1", [thread]);
    expect(left.rowCount).toBe(0);
  });
});

describe("a message", () => {
  test("sent twice under one name is one, also when both come at once; another's name is another's", async () => {
    const { token } = await member();
    const id = await openThread(token);
    const send = (as: string) => ask("POST", `${THREADS}/${id}/messages`, as, { text: "twice", clientId: "a-1" });
    const answers = await Promise.all([send(token), send(token), send(token), send(token)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
    expect((await send(token)).headers.get("idempotent-replayed")).toBe("true");
    expect(await send(agent)).toMatchObject({ status: 201, version: 3 });
    expect((await ask("GET", `${THREADS}/${id}/messages`, token)).items).toHaveLength(3);
  });

  test("gets its own version, however many are sent at once, and pages walk over all of them once", async () => {
    const { token } = await member();
    const id = await openThread(token);
    const path = `${THREADS}/${id}/messages`;
    const sent = await Promise.all(
      Array.from({ length: 40 }, (_, i) => ask("POST", path, i % 2 ? agent : token, { text: `m${i}` })),
    );
    expect(sent.map(({ version }) => version).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, i) => i + 2),
    );
    const seen: View[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const next: View = await ask("GET", `${path}?limit=7${cursor && `&cursor=${cursor}`}`, token);
      seen.push(...next.items);
      cursor = next.nextCursor;
    }
    expect(seen.map(({ version }) => version)).toEqual(Array.from({ length: 41 }, (_, i) => 41 - i));
  });

  test.each([
    ["no body", undefined],
    ["no text", {}],
    ["empty", { text: "" }],
    ["blank", { text: " \n\t" }],
    ["too long", { text: "x".repeat(2_001) }],
    ["no text but a number", { text: 7 }],
    ["null", { text: null }],
    ["NUL", { text: "a\0b" }],
    ["half a surrogate pair", '{"text":"\\ud800"}'],
    ["an empty clientId", { text: "x", clientId: "" }],
    ["a clientId too long", { text: "x", clientId: "x".repeat(65) }],
    ["a clientId with a space", { text: "x", clientId: "a b" }],
    ["an array", []],
    ["no JSON", "{"],
  ])("is refused: %s", async (_, body) => {
    const { token } = await member();
    const id = await openThread(token);
    for (const [path, given] of [
      [`${THREADS}/${id}/messages`, body],
      [THREADS, typeof body === "object" && !Array.isArray(body) ? { subject: "s", ...body } : body],
    ] as const) {
      if (path === THREADS && body !== undefined && typeof body === "object" && "clientId" in body) continue;
      expect(await ask("POST", path, token, given)).toMatchObject({ status: 400, code: "VALIDATION" });
    }
    expect((await ask("GET", THREADS, token)).items).toMatchObject([{ id, version: 1 }]);
  });

  test("as long as may be, of the widest characters, comes back as it was", async () => {
    const { token } = await member();
    const text = "\u{1f381}".repeat(1_000);
    const id = await openThread(token, "가".repeat(200), text);
    expect((await ask("GET", `${THREADS}/${id}/messages`, token)).items[0]?.text).toBe(text);
  });
});

test("what else cannot be understood is refused", async () => {
  const { token } = await member();
  const id = await openThread(token);
  const bad: [string, string, unknown?][] = [
    ["POST", THREADS, { subject: "", text: "x" }],
    ["POST", THREADS, { subject: "s".repeat(201), text: "x" }],
    ["POST", THREADS, { subject: "\0", text: "x" }],
    ["PATCH", `${THREADS}/${id}`, { state: "gone" }],
    ["PATCH", `${THREADS}/${id}`, {}],
    ...[0, -1, 1.5, "1", null, 1e300].map((version): [string, string, unknown] => [
      ...(["POST", `${THREADS}/${id}/read`, { version }] as [string, string, unknown]),
    ]),
    ["GET", `${THREADS}?limit=0`],
    ["GET", `${THREADS}?limit=101`],
    ["GET", `${THREADS}?cursor=x`],
    ["GET", `${THREADS}?state=gone`],
    ["GET", `${THREADS}/${id}/messages?cursor=WzEsMl0`],
    ["GET", `${THREADS}/${id}/messages?limit=x`],
  ];
  for (const [method, path, body] of bad) {
    const { status, code } = await ask(method, path, token, body);
    expect([method, path, body, status, code]).toEqual([method, path, body, 400, "VALIDATION"]);
  }
  expect(await ask("GET", `${THREADS}/${id}`, token)).toMatchObject({ version: 1 });
});

describe("bounds", () => {
  test("open threads of a member, also when all are opened at once; a closed one makes room", async () => {
    const { token } = await member();
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => ask("POST", THREADS, token, { subject: "s", text: "t" })),
    );
    const made = answers.filter(({ status }) => status === 201);
    expect(made).toHaveLength(20);
    expect(answers.find(({ status }) => status !== 201)).toMatchObject({ status: 409, code: "LIMIT_EXCEEDED" });
    await ask("PATCH", `${THREADS}/${made[0]?.id}`, token, { state: "closed" });
    await openThread(token);
    const closed = await ask("GET", `${THREADS}?state=closed`, token);
    expect(closed.items.map(({ id }) => id)).toEqual([made[0]?.id]);
    const first = await ask("GET", `${THREADS}?limit=15`, token);
    const rest = await ask("GET", `${THREADS}?limit=15&cursor=${first.nextCursor}`, token);
    expect(new Set([...first.items, ...rest.items].map(({ id }) => id)).size).toBe(21);
  });

  test("messages of a thread", async () => {
    const { token } = await member();
    const id = await openThread(token);
    await shop.pool.query("UPDATE support_threads SET messages = 10000 WHERE id = $1", [id]);
    for (const as of [token, agent]) {
      expect(await ask("POST", `${THREADS}/${id}/messages`, as, { text: "x" })).toMatchObject({
        ...{ status: 409, code: "INVALID_STATE" },
      });
    }
  });

  test("what an author writes within a minute, over all threads; others are not held up", async () => {
    const strict = shop.appWith({ rateLimit: { ...CONFIG.rateLimit, enabled: true } });
    const { token } = await member();
    const id = await openThread(token);
    const path = `${THREADS}/${id}/messages`;
    const statuses: number[] = [];
    for (let i = 0; i < 32; i += 1) statuses.push((await ask("POST", path, token, { text: "spam" }, strict)).status);
    expect(statuses.slice(0, 30)).toEqual(Array.from({ length: 30 }, () => 201));
    expect(statuses.at(-1)).toBe(429);
    const refused = await ask("POST", THREADS, token, { subject: "s", text: "t" }, strict);
    expect(refused).toMatchObject({ status: 429, code: "RATE_LIMITED" });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await ask("POST", path, agent, { text: "calm" }, strict)).toMatchObject({ status: 201 });
  });
});

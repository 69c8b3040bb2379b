import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import { BODY_BYTES_MAX } from "../../api/http/body.ts";
import { startServer } from "../../api/server.ts";
import { callApp, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const server = await startServer(shop.app, { host: "127.0.0.1", port: 0 });
afterAll(() => server.stop());
const port = Number(new URL(server.url).port);

/** Sends bytes as they are and resolves to all that comes back until the other side closes or `enough` matches. */
function speak(bytes: string | Buffer, enough: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
      if (enough.test(text)) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

describe("paths and methods", () => {
  test.each(["/nowhere", "/api/v1", "/api/v1/orders/", "/api/v1/%", "/api/v1/%00", "/api/v1/orders/a/b", "/%F0%28"])(
    "GET %s: 404",
    async (path) => {
      const answer = await shop.call("GET", path);
      expect([answer.status, answer.body.code]).toEqual([404, "NOT_FOUND"]);
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
    },
  );

  test.each([
    ["DELETE", "/api/v1/orders", "GET, HEAD, POST, OPTIONS"],
    ["PUT", "/api/v1/orders/x", "GET, HEAD, OPTIONS"],
    ["GET", "/api/v1/auth/login", "POST, OPTIONS"],
    ["PATCH", "/api/v1/products/x", "GET, HEAD, PUT, DELETE, OPTIONS"],
    ["POST", "/healthz", "GET, HEAD, OPTIONS"],
  ])("%s %s: 405 with Allow", async (method, path, allow) => {
    const answer = await shop.call(method, path);
    expect([answer.status, answer.body.code]).toEqual([405, "METHOD_NOT_ALLOWED"]);
    expect(answer.headers.get("allow")).toBe(allow);
  });

  test("a problem document says what, and nothing of the inside", async () => {
    const { body } = await shop.call("GET", "/nowhere");
    expect(body).toEqual({
      type: "urn:onrush:problem:not-found",
      title: expect.any(String),
      status: 404,
      detail: expect.any(String),
      code: "NOT_FOUND",
      requestId: expect.any(String),
    });
  });

  test("every answer carries the security headers", async () => {
    for (const path of ["/nowhere", "/healthz", "/api/v1/sales", "/docs", "/metrics", "/openapi.json"]) {
      const { headers } = await shop.call("GET", path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    }
  });

  test("a defect is 500 with nothing of it in the answer", async () => {
    const broken = { ...shop.deps.pool, query: () => Promise.reject(new Error("secret SQL")) };
    const { createApp } = await import("../../api/app.ts");
    const app = createApp({ ...shop.deps, pool: broken as never });
    const answer = await callApp(app, "GET", "/api/v1/products");
    expect([answer.status, answer.body.code]).toEqual([500, "INTERNAL"]);
    expect(JSON.stringify(answer.body)).not.toMatch(/secret|stack|\.ts/);
  });
});

describe("bodies over a socket", () => {
  const head = (extra: string) =>
    `POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${extra}\r\n`;

  test("3 MB by its length: 413, each of 20 times, on connections that go on", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 20; i += 1) {
      const response = await fetch(`${server.url}/api/v1/orders`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "x".repeat(3 * 1024 * 1024),
      });
      statuses.push(response.status);
      expect(await response.json()).toMatchObject({ code: "PAYLOAD_TOO_LARGE", status: 413 });
    }
    expect(statuses).toEqual(Array(20).fill(413));
  });

  test("3 MB in chunks that name no length: 413, each of 20 times", async () => {
    for (let i = 0; i < 20; i += 1) {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const request = httpRequest(
          {
            port,
            host: "127.0.0.1",
            method: "POST",
            path: "/api/v1/orders",
            headers: { "content-type": "application/json" },
          },
          (response) => {
            response.resume();
            response.on("end", () => resolve(response.statusCode));
          },
        );
        request.on("error", reject);
        for (let n = 0; n < 48; n += 1) request.write("x".repeat(64 * 1024));
        request.end();
      });
      expect(status).toBe(413);
    }
  });

  test("an unwanted body is refused before it is read, and leaves the connection usable", async () => {
    const body = "x".repeat(BODY_BYTES_MAX + 1);
    const next = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    const text = await speak(`${head(`Content-Length: ${body.length}\r\n`)}${body}${next}`, /"status":"ok"/);
    expect(text).toMatch(/^HTTP\/1\.1 413 [\s\S]*HTTP\/1\.1 200 /);
  });

  test("who asks first is told without being asked to continue", async () => {
    const text = await speak(head("Content-Length: 3000000\r\nExpect: 100-continue\r\n"), /PAYLOAD_TOO_LARGE/);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    const small = await speak(head("Content-Length: 2\r\nExpect: 100-continue\r\n"), /100 Continue/);
    expect(small).toMatch(/^HTTP\/1\.1 100 /);
  });

  test("just below the limit is read", async () => {
    const body = JSON.stringify({ items: "x".repeat(BODY_BYTES_MAX - 100) });
    const response = await fetch(`${server.url}/api/v1/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(response.status).toBe(400);
  });

  test("a small body in chunks is read", async () => {
    const text = await speak(`${head("Transfer-Encoding: chunked\r\n")}2\r\n{}\r\n0\r\n\r\n`, /VALIDATION/);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test.each([
    ["headers too large", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["no HTTP", "hello\r\n\r\n", 400],
    ["no Host", "GET /healthz HTTP/1.1\r\n\r\n", 400],
    ["a backslash in the path", "GET /api\\v1 HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    ["two lengths", head("Content-Length: 1\r\nContent-Length: 2\r\n"), 400],
    ["length and chunks", head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400],
  ])("%s", async (_name, bytes, status) => {
    expect(await speak(bytes, /"code"|\r\n\r\n$/)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });
});

describe("cross-origin requests", () => {
  test("are for the configured origins, exactly", async () => {
    const from = (origin: string) => shop.call("GET", "/api/v1/sales", { headers: { origin } });
    expect((await from("https://shop.example")).headers.get("access-control-allow-origin")).toBe(
      "https://shop.example",
    );
    for (const origin of ["https://shop.example.evil", "http://shop.example", "null"]) {
      expect((await from(origin)).headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  test("are asked for by a preflight", async () => {
    const headers = { origin: "https://shop.example", "access-control-request-method": "POST" };
    const answer = await shop.call("OPTIONS", "/api/v1/orders", { headers });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-methods")).toContain("POST");
    expect(answer.headers.get("access-control-allow-headers")).toContain("idempotency-key");
  });
});

describe("rate limits", () => {
  const rateLimit = { enabled: true, ordersPerSecond: 1, requestsPerSecond: 1, loginsPerMinute: 2 };

  test("a caller beyond them gets 429 and when to come back", async () => {
    const app = shop.appWith({ rateLimit });
    const answers = [];
    for (let i = 0; i < 7; i += 1) answers.push(await callApp(app, "GET", "/api/v1/sales"));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect(answers[6]?.body.code).toBe("RATE_LIMITED");
    expect(Number(answers[6]?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    const orders = [];
    for (let i = 0; i < 6; i += 1) orders.push(await callApp(app, "POST", "/api/v1/orders", { body: {} }));
    expect(orders.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 429]);
  });

  test("sign-ins are limited by e-mail and address", async () => {
    const app = shop.appWith({ rateLimit: { ...rateLimit, requestsPerSecond: 100 } });
    const login = (email: string) =>
      callApp(app, "POST", "/api/v1/auth/login", { body: { email, password: "x" } }).then(({ status }) => status);
    expect([await login("a@b.c"), await login("A@b.c"), await login("a@b.c")]).toEqual([401, 401, 429]);
    expect(await login("d@b.c")).toBe(401);
  });

  test("a forwarded address counts only from a trusted proxy", async () => {
    const socket = { incoming: { socket: { remoteAddress: "10.0.0.1" } } };
    const statuses = async (trustedProxies: string[]) => {
      const app = shop.appWith({ rateLimit, trustedProxies });
      const seen: number[] = [];
      for (let i = 0; i < 6; i += 1) {
        const headers = { "x-forwarded-for": `1.2.3.${i}` };
        seen.push((await app.request("/healthz-not", { headers }, socket as never)).status);
      }
      return seen.at(-1);
    };
    expect(await statuses([])).toBe(429);
    expect(await statuses(["10.0.0.0/8"])).toBe(404);
  });
});

describe("for operators", () => {
  test("up, ready, measured and described", async () => {
    expect((await shop.call("GET", "/healthz")).body).toEqual({ status: "ok" });
    expect((await shop.call("HEAD", "/healthz")).status).toBe(200);
    expect((await shop.call("GET", "/readyz")).body).toEqual({ status: "ok" });
    const metrics = (await shop.call("GET", "/metrics")).text;
    expect(metrics).toMatch(
      /onrush_http_request_duration_seconds_count\{method="GET",route="\/healthz",status="200"\} \d/,
    );
    expect(metrics).toContain("onrush_orders_total");
    expect((await shop.call("GET", "/docs")).text).toContain('<script src="/docs/swagger-ui-bundle.js">');
    expect((await shop.call("GET", "/docs/start.js")).text).toContain("/openapi.json");
    expect((await shop.call("GET", "/docs/swagger-ui-bundle.js")).text).toContain("SwaggerUIBundle");
    expect((await shop.call("GET", "/docs/swagger-ui.css")).text).toContain(".swagger-ui");
  });

  test("the OpenAPI document has the schemas of bodies", async () => {
    const body = JSON.parse((await shop.call("GET", "/openapi.json")).text);
    expect(body.paths["/api/v1/orders"].post.requestBody.content["application/json"].schema).toEqual({
      $ref: "#/components/schemas/OrderRequest",
    });
    expect(body.components.schemas.OrderRequest.required).toEqual(["items"]);
  });
});

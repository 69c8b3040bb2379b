// The address of the cache's Redis, as redis-om's client is told it: what ioredis makes of the same URL.
import { describe, expect, it } from "vitest";
import { clientOptions } from "../../../engine/catalogue/read-model/connection.ts";

describe("an address", () => {
  it("has its user, password and database, out of their escapes", () => {
    expect(clientOptions("redis://onrush%40api:p%2Fw%3A@cache.example:7000/3")).toMatchObject({
      username: "onrush@api",
      password: "p/w:",
      database: 3,
      socket: { host: "cache.example", port: 7_000 },
    });
  });

  it("needs none of them", () => {
    const options = clientOptions("redis://cache.example");
    expect(options.socket).toMatchObject({ host: "cache.example", port: 6_379 });
    expect(options.socket).not.toHaveProperty("tls");
    expect(options).not.toHaveProperty("username");
    expect(options).not.toHaveProperty("password");
    expect(options).not.toHaveProperty("database");
  });

  it("may have a password alone", () => {
    const options = clientOptions("redis://:secret@cache.example");
    expect(options).toMatchObject({ password: "secret" });
    expect(options).not.toHaveProperty("username");
  });

  it("of rediss is spoken to over TLS", () => {
    expect(clientOptions("rediss://cache.example").socket).toMatchObject({ tls: true });
  });

  it("may be one of IPv6", () => {
    expect(clientOptions("redis://[::1]:7000").socket).toMatchObject({ host: "::1", port: 7_000 });
  });
});

// Servers that start at once, on ports that each has to find for itself.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, it } from "vitest";
import { redisServer } from "../../runtime/embedded/redis.ts";
import { REDIS_ROLES, type RedisPasswords } from "../../runtime/embedded/redis-acl.ts";
import { freePort, onFreePort, PortTaken } from "../../runtime/embedded/server.ts";
import { launch } from "../support/launch.ts";
import { startTestRedis } from "../support/redis.ts";

const letGo: (() => unknown)[] = [];
afterEach(async () => {
  for (const release of letGo.splice(0).toReversed()) await release();
});

function specAt(port: number) {
  const directory = mkdtempSync(path.join(tmpdir(), "onrush-test-ports-"));
  letGo.push(() => rmSync(directory, { recursive: true, force: true }));
  // The passwords of every other Redis of a test run.
  const passwords = Object.fromEntries(REDIS_ROLES.map((role) => [role, `${role}_password`])) as RedisPasswords;
  return redisServer({ directory, logFile: path.join(directory, "redis.log"), port, passwords });
}

it("a server that loses its port to another one of its kind is not mistaken for it", async () => {
  const other = await startTestRedis();
  letGo.push(() => other.stop());
  await expect(launch(specAt(other.port))).rejects.toThrow(PortTaken);
});

it("a server whose port was taken after it was chosen gets another one", async () => {
  const taken: number[] = [];
  const running = await onFreePort(async (port) => {
    if (taken.length < 2) {
      const thief = createServer();
      await new Promise<void>((resolve) => thief.listen(port, "127.0.0.1", () => resolve()));
      letGo.push(() => thief.close());
      taken.push(port);
    }
    return { port, server: await launch(specAt(port)) };
  });
  letGo.push(() => running.server.stop());
  expect(taken).toHaveLength(2);
  expect(taken).not.toContain(running.port);
});

it("the preferred port is kept while it is free", async () => {
  const preferred = await freePort();
  expect(await onFreePort((port) => Promise.resolve(port), preferred)).toBe(preferred);
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(preferred, "127.0.0.1", () => resolve()));
  letGo.push(() => other.close());
  expect(await onFreePort((port) => Promise.resolve(port), preferred)).not.toBe(preferred);
});

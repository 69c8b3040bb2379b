// Faults between the API and Redis, and of Redis itself.
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { partitionKeys } from "../../../engine/keys.ts";
import { placementsOf } from "../history.ts";
import { type Fault, PLACE_CALL, pause, type Strike, unmet, until, untilMoreAccepted } from "./fault.ts";

const API_KILLS = 2;
const LOST_ANSWERS = 12;
const REDIS_KILLS = 2;
const RELEASED_WITHIN_MS = 30_000;
const FLUSH_FOR_MS = 3_000;
const HOUR_MS = 3_600_000;
const SHIFTED_CLOCK = `--import=${new URL("../../support/faults/shifted-clock.ts", import.meta.url).href}`;

export const apiKilled: Fault = {
  name: "api-killed",
  title: "API killed after the script, before the reply; the client retries: the same order",
  quick: true,
  minimum: { unknown: 1 },
  async strike(stage) {
    const { system, random, history } = stage;
    const [proxy, api] = [system.path("api>redis"), system.process("api")];
    let kills = 0;
    let healedAtMs = 0;
    for (let n = 0; n < API_KILLS; n += 1) {
      const lost = Promise.withResolvers<void>();
      proxy.loseAnswersTo({ request: PLACE_CALL, times: 1, onHit: () => lost.resolve() });
      if (await Promise.race([lost.promise.then(() => true), sleep(5_000, false)])) {
        await api.down("SIGKILL");
        kills += 1;
      }
      proxy.heal();
      await pause(random, 200);
      healedAtMs = history.now;
      await api.start();
      await untilMoreAccepted(stage, 20);
    }
    return { fired: kills, evidence: `${proxy.counts.lost} answers lost, ${kills} kills right after`, healedAtMs };
  },
};

export const answerLost: Fault = {
  name: "answer-lost",
  title: "answer of a script call lost, the call repeated: one order, one hold",
  quick: true,
  async strike({ system, random, history }) {
    const proxy = system.path("api>redis");
    const before = proxy.counts.lost;
    for (let n = 0; n < LOST_ANSWERS; n += 1) {
      let hit = false;
      proxy.loseAnswersTo({
        request: PLACE_CALL,
        times: 1,
        onHit: () => {
          hit = true;
        },
      });
      await until(() => hit, 3_000);
      await pause(random, 100);
    }
    const healedAtMs = history.now;
    proxy.heal();
    const fired = proxy.counts.lost - before;
    return { fired, evidence: `${fired} answers of place.lua lost after they were given`, healedAtMs };
  },
};

export const redisKilled: Fault = {
  name: "redis-killed",
  title: "Redis killed (appendfsync always) and restarted: nothing acknowledged lost",
  quick: true,
  async strike(stage) {
    const { system, random, history } = stage;
    const redis = system.process("redis");
    let kills = 0;
    let healedAtMs = 0;
    for (let n = 0; n < REDIS_KILLS; n += 1) {
      await pause(random, 200);
      const { pid } = redis;
      await redis.down("SIGKILL");
      await pause(random, 500);
      healedAtMs = history.now;
      await redis.start();
      if (redis.pid !== pid) kills += 1;
      await untilMoreAccepted(stage, 20);
    }
    return { fired: kills, evidence: `${kills} kill -9, each followed by a recovery from the AOF`, healedAtMs };
  },
};

export const redisSilent: Fault = {
  name: "redis-silent",
  title: "the network between API and Redis swallows everything for 3 s: no guess, no double",
  minimum: { unknown: 1 },
  async strike({ system, history }) {
    const proxy = system.path("api>redis");
    const before = proxy.counts.swallowed;
    proxy.setMode("silent");
    await sleep(3_000);
    const healedAtMs = history.now;
    proxy.heal();
    const fired = proxy.counts.swallowed - before;
    return { fired, evidence: `${fired} writes vanished`, healedAtMs };
  },
};

export const scriptsFlushed: Fault = {
  name: "scripts-flushed",
  title: "SCRIPT FLUSH in a loop: no client sees an error",
  async strike({ system }) {
    const endsAt = performance.now() + FLUSH_FOR_MS;
    let fired = 0;
    for (; performance.now() < endsAt; fired += 1) {
      await system.redis.script("FLUSH");
      await sleep(10);
    }
    return { fired, evidence: `${fired} flushes` };
  },
  verify: ({ history }) =>
    history.events
      .filter((event) => event.type === "info" || (event.type === "fail" && (event.status ?? 0) >= 500))
      .slice(0, 3)
      .map((event) => unmet("no client sees an error", JSON.stringify(event))),
};

export const memoryFull: Fault = {
  name: "memory-full",
  title: "Redis memory full: reservations refused whole, releases still work",
  load: { unpaid: "left" },
  async strike({ system, sale, history }) {
    const { redis } = system;
    const { meta, held } = partitionKeys({ saleId: sale.id, partition: 0 });
    const unpaid = () =>
      placementsOf(history.events).filter(
        ({ payment, orderIds }) => payment?.method === "later" && orderIds.length > 0,
      );
    const unpaidBefore = unpaid().length;
    await until(() => unpaid().length > unpaidBefore, RELEASED_WITHIN_MS); // this one has to be released in the end
    const from = history.events.length;
    const heldBefore = await redis.hlen(held);
    await redis.config("SET", "maxmemory", "1");
    await sleep(300); // what was under way
    const [before, seqBefore] = await redis.hmget(meta, "reservation", "seq");
    await sleep(2_500);
    // Settlements are refused as well, so whatever moves is a release: of what is declined or has run out.
    const released = await until(async () => (await redis.hget(meta, "seq")) !== seqBefore, RELEASED_WITHIN_MS);
    const after = await redis.hget(meta, "reservation");
    const healedAtMs = history.now;
    await redis.config("SET", "maxmemory", "0");
    const refused = history.events
      .slice(from)
      .filter((event) => event.type === "fail" && event.code === "STOCK_UNAVAILABLE");
    return {
      fired: refused.length,
      evidence: `${refused.length} answered STOCK_UNAVAILABLE; ${heldBefore} holds before`,
      healedAtMs,
      broken: [
        ...(before === after
          ? []
          : [unmet("nothing is reserved while memory is full", `${before} became ${after}`, 1)]),
        ...(released ? [] : [unmet("releases still work while memory is full", "none came", 1)]),
      ],
    };
  },
};

export const clocksShifted: Fault = {
  name: "clocks-shifted",
  title: "the API's clock an hour ahead, the worker's an hour behind: decisions use Redis' and Postgres' only",
  settings: {
    api: { NODE_OPTIONS: SHIFTED_CLOCK, CLOCK_SHIFT_MS: String(HOUR_MS) },
    worker: { NODE_OPTIONS: SHIFTED_CLOCK, CLOCK_SHIFT_MS: String(-HOUR_MS) },
    persister: { NODE_OPTIONS: SHIFTED_CLOCK, CLOCK_SHIFT_MS: String(HOUR_MS) },
  },
  async strike(stage): Promise<Strike> {
    const log = readFileSync(path.join(stage.system.folder, "api.log"), "utf8").trimEnd().split("\n");
    const ready = log.findLast((line) => line.includes('"msg":"ready"')) ?? "{}";
    const aheadMs = Date.parse((JSON.parse(ready) as { time?: string }).time ?? "") - Date.now();
    await untilMoreAccepted(stage, 100);
    const isShifted = aheadMs > HOUR_MS / 2;
    return { fired: isShifted ? 1 : 0, evidence: `the API's log is dated ${Math.round(aheadMs / 1_000)} s ahead` };
  },
};

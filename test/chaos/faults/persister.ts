// Faults of the persister and its way to Postgres.
import { setTimeout as sleep } from "node:timers/promises";
import { partitionKeys } from "../../../engine/keys.ts";
import { type Fault, pause, unmet, until, untilMoreAccepted } from "./fault.ts";

/** The simple query protocol's COMMIT, as it stands on the wire. */
const COMMIT = "COMMIT\0";
const COMMITS_HIT = 4;
const SLOW_MS = 20;
const KILLS = 2;
/** A lease lasts 5 s. */
const LEASE_MS = 5_000;
const BACKLOG_MAX = 60;
const BACKLOG_MS_MAX = 2_000;

export const persisterKilled: Fault = {
  name: "persister-killed",
  title: "persister killed at any moment: no loss, no double",
  async strike(stage) {
    const { system, random, history } = stage;
    const persister = system.process("persister");
    let kills = 0;
    let healedAtMs = 0;
    for (let n = 0; n < KILLS; n += 1) {
      await untilMoreAccepted(stage, 10 + Math.floor(random() * 30));
      const { pid } = persister;
      await persister.down("SIGKILL");
      await pause(random, 300);
      healedAtMs = history.now;
      await persister.start();
      if (persister.pid !== pid) kills += 1;
    }
    return { fired: kills, evidence: `${kills} kill -9`, healedAtMs };
  },
};

/** The crash points around a commit, made from outside: the proxy sees COMMIT go by, and the process dies there. */
function killedAround(name: string, title: string, hit: "cutBefore" | "loseAnswersTo"): Fault {
  return {
    name,
    title,
    async strike(stage) {
      const { system, random, history } = stage;
      const [proxy, persister] = [system.path("persister>postgres"), system.process("persister")];
      let kills = 0;
      const struck = Promise.withResolvers<void>();
      // Stopped first: what it finds when it comes back is one batch of many entries.
      await persister.stop();
      await untilMoreAccepted(stage, 30, BACKLOG_MS_MAX);
      proxy[hit]({
        request: COMMIT,
        times: 1,
        onHit: () => {
          kills += 1;
          persister.killNow();
          struck.resolve();
        },
      });
      persister.start().catch(() => undefined); // it is killed, maybe before it said that it is ready
      await Promise.race([struck.promise, sleep(8_000)]);
      await persister.down("SIGKILL");
      proxy.heal();
      await pause(random, 200);
      const healedAtMs = history.now;
      await persister.start();
      await untilMoreAccepted(stage, 20);
      return { fired: kills, evidence: `${kills} kill -9 with COMMIT on the wire`, healedAtMs };
    },
  };
}

export const persisterKilledBeforeCommit = killedAround(
  "persister-killed-before-commit",
  "persister dies with its COMMIT not yet arrived: no loss, no double",
  "cutBefore",
);

export const persisterKilledAfterCommit = killedAround(
  "persister-killed-after-commit",
  "persister dies between its commit and XACK: no loss, no double",
  "loseAnswersTo",
);

function commitHit(name: string, title: string, hit: "cutBefore" | "loseAnswersTo", counter: "cut" | "lost"): Fault {
  return {
    name,
    title,
    ...(hit === "loseAnswersTo" && { quick: true }),
    async strike(stage) {
      const { system, random, history } = stage;
      const proxy = system.path("persister>postgres");
      const before = proxy.counts[counter];
      // On a slow way each transaction takes long, so that the next one carries many entries.
      proxy.setDelay(SLOW_MS);
      await untilMoreAccepted(stage, 40);
      for (let n = 0; n < COMMITS_HIT; n += 1) {
        let isHit = false;
        proxy[hit]({
          request: COMMIT,
          times: 1,
          onHit: () => {
            isHit = true;
          },
        });
        await until(() => isHit, 5_000);
        await pause(random, 150);
      }
      const healedAtMs = history.now;
      proxy.heal();
      const fired = proxy.counts[counter] - before;
      return { fired, evidence: `${fired} transactions hit at their COMMIT`, healedAtMs };
    },
  };
}

export const commitAnswerLost = commitHit(
  "commit-answer-lost",
  "the answer to COMMIT is lost: the transaction runs again, once in effect",
  "loseAnswersTo",
  "lost",
);

export const commitCut = commitHit(
  "commit-cut",
  "the connection breaks before COMMIT: the transaction runs again",
  "cutBefore",
  "cut",
);

export const persisterFrozen: Fault = {
  name: "persister-frozen",
  title: "persister stopped, load goes on: back-pressure at the cap, memory bounded",
  quick: true,
  settings: { api: { BACKLOG_MAX_ORDERS: String(BACKLOG_MAX) } },
  minimum: { refused: 20 },
  async strike({ system, sale, history }) {
    const persister = system.process("persister");
    const { meta } = partitionKeys({ saleId: sale.id, partition: 0 });
    const refusals = () =>
      history.events.filter((event) => event.type === "fail" && event.code === "OVERLOADED").length;
    let backlogMax = 0;
    const watch = async () => {
      const [reservation, persisted] = await system.redis.hmget(meta, "reservation", "persisted");
      backlogMax = Math.max(backlogMax, Number(reservation) - Number(persisted));
      return refusals() >= 20;
    };
    persister.freeze();
    await until(watch, 8_000);
    await sleep(500);
    await watch();
    const healedAtMs = history.now;
    persister.thaw();
    return {
      fired: refusals(),
      evidence: `${refusals()} answered OVERLOADED, ${backlogMax} orders waited at most`,
      healedAtMs,
      broken:
        backlogMax <= BACKLOG_MAX ? [] : [unmet("the backlog is bounded", `${backlogMax} waited, ${BACKLOG_MAX} may`)],
    };
  },
};

export const leaseHolderFrozen: Fault = {
  name: "lease-holder-frozen",
  title: "lease holder frozen, resuming after a takeover: no double effect, order kept",
  async strike(stage) {
    const { system, sale, history } = stage;
    const [first, second] = [system.process("persister"), system.process("persister2")];
    const { lease } = partitionKeys({ saleId: sale.id, partition: 0 });
    await second.start();
    const owner = await system.redis.get(lease);
    first.freeze();
    const isTakenOver = await until(async () => {
      const now = await system.redis.get(lease);
      return now !== null && now !== owner;
    }, LEASE_MS * 3);
    await untilMoreAccepted(stage, 30);
    const healedAtMs = history.now;
    first.thaw();
    await untilMoreAccepted(stage, 30);
    await second.stop();
    return {
      fired: isTakenOver ? 1 : 0,
      evidence: isTakenOver ? "the lease changed hands while its holder was frozen" : "nobody took the lease",
      healedAtMs,
    };
  },
};

// Faults of Postgres, of payment, and of roles that are stopped in good order.
import { setTimeout as sleep } from "node:timers/promises";
import { type Fault, pause, unmet, untilMoreAccepted } from "./fault.ts";

const DOWN_MS = 3_000;
const CHARGE = "POST /charges";
const STOP_MS_MAX = 10_000;

export const postgresKilled: Fault = {
  name: "postgres-killed",
  title: "Postgres down for seconds: orders are accepted meanwhile, everything drains afterwards",
  quick: true,
  async strike(stage) {
    const { system, history } = stage;
    const postgres = system.process("postgres");
    const { pid } = postgres;
    await postgres.down("SIGQUIT"); // what `pg_ctl stop -m immediate` sends: no checkpoint, recovery at the next start
    const accepted = history.accepted;
    await sleep(DOWN_MS);
    const meanwhile = history.accepted - accepted;
    const healedAtMs = history.now;
    await postgres.start();
    await untilMoreAccepted(stage, 20);
    return {
      fired: postgres.pid !== pid ? 1 : 0,
      evidence: `down for ${DOWN_MS / 1_000} s, ${meanwhile} orders accepted meanwhile`,
      healedAtMs,
      broken: meanwhile > 0 ? [] : [unmet("orders are accepted while Postgres is away", "none was", 4)],
    };
  },
};

export const workerKilled: Fault = {
  name: "worker-killed",
  title: "worker killed between charge and record: one charge",
  load: { forMs: 3_000 },
  async strike(stage) {
    const { system, random, history } = stage;
    const [proxy, worker] = [system.path("worker>gateway"), system.process("worker")];
    const struck = Promise.withResolvers<void>();
    const before = proxy.counts.lost;
    proxy.loseAnswersTo({
      request: CHARGE,
      times: 1,
      onHit: () => void worker.down("SIGKILL").then(() => struck.resolve()),
    });
    await Promise.race([struck.promise, sleep(5_000)]);
    proxy.heal();
    await pause(random, 300);
    const healedAtMs = history.now;
    await worker.start();
    await untilMoreAccepted(stage, 10);
    const fired = proxy.counts.lost - before;
    return { fired, evidence: `${fired} call charged and not recorded when the worker died`, healedAtMs };
  },
};

export const chargeAnswerLost: Fault = {
  name: "charge-answer-lost",
  title: "the gateway charged and its answer is lost: asked by key, one charge, stock never released while unknown",
  async strike({ system, random, history }) {
    const proxy = system.path("worker>gateway");
    const before = proxy.counts.lost;
    proxy.loseAnswersTo({ request: CHARGE, times: 4 });
    for (let n = 0; n < 20 && proxy.counts.lost < before + 4; n += 1) await pause(random, 200);
    const healedAtMs = history.now;
    proxy.heal();
    const fired = proxy.counts.lost - before;
    return { fired, evidence: `${fired} answers of the gateway lost`, healedAtMs };
  },
};

export const gatewayKilled: Fault = {
  name: "gateway-killed",
  title: "payment gateway killed while it is asked: unknown outcomes are looked up, one charge",
  async strike(stage) {
    const { system, random, history } = stage;
    const gateway = system.process("gateway");
    let kills = 0;
    let healedAtMs = 0;
    for (let n = 0; n < 2; n += 1) {
      const { pid } = gateway;
      await gateway.down("SIGKILL");
      await pause(random, 600);
      healedAtMs = history.now;
      await gateway.start();
      if (gateway.pid !== pid) kills += 1;
      await untilMoreAccepted(stage, 20);
    }
    return { fired: kills, evidence: `${kills} kill -9`, healedAtMs };
  },
};

export const rollingRestart: Fault = {
  name: "rolling-restart",
  title: "SIGTERM to each role under load: drains, loses nothing, ends within 10 s",
  quick: true,
  async strike(stage) {
    const { system, history } = stage;
    const broken = [];
    const took: string[] = [];
    let healedAtMs = 0;
    for (const name of ["api", "persister", "worker"] as const) {
      const role = system.process(name);
      const { ms, code } = await role.stop();
      took.push(`${name} ${Math.round(ms)} ms`);
      if (code !== 0 || ms > STOP_MS_MAX) {
        broken.push(
          unmet("roles end in good order within 10 s", `${name}: exit code ${code} after ${Math.round(ms)} ms`),
        );
      }
      healedAtMs = history.now;
      await role.start();
      await untilMoreAccepted(stage, 20);
    }
    return { fired: took.length, evidence: took.join(", "), healedAtMs, broken };
  },
};

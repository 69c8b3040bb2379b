// Transactions that Postgres ends because of each other: deadlocks and serialization failures. The persister's must run
// again as a whole, and be in effect once.
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Fault, type Stage, until, untilMoreAccepted } from "./fault.ts";

const DEADLOCKS = 3;
const TRIES_MAX = 12;
const COMES_WITHIN_MS = 20_000;
const CONFLICTS_FOR_MS = 3_000;
const CONFLICT_EVERY_MS = 15;

export const deadlocks: Fault = {
  name: "deadlocks",
  title: "locks taken in the reverse order: Postgres ends the persister's transaction, which runs again",
  async strike(stage) {
    const { system, sale, history } = stage;
    const ids = sale.products.map(({ id }) => id).sort();
    const [first, last] = [ids.at(0), ids.at(-1)];
    const before = saidByPostgres(stage, "deadlock detected");
    const fired = () => saidByPostgres(stage, "deadlock detected") - before;
    // A batch that has none of the first product holds nothing that we want: then there is no deadlock.
    for (let tries = 0; tries < TRIES_MAX && fired() < DEADLOCKS; tries += 1) {
      const client = await system.pool.connect();
      const lock = (id: string | undefined) =>
        client.query("SELECT FROM stock WHERE sale_id = $1 AND product_id = $2 FOR UPDATE", [sale.id, id]);
      try {
        await client.query("BEGIN");
        // Whoever waits this long looks whether it is a deadlock, and ends itself: the persister, and not we.
        await client.query("SET LOCAL deadlock_timeout = '60s'");
        await lock(last);
        await until(() => isWaitedFor(stage), COMES_WITHIN_MS);
        await lock(first);
      } finally {
        await client.query("ROLLBACK");
        client.release();
      }
      await untilMoreAccepted(stage, 10);
    }
    return {
      fired: fired(),
      planned: DEADLOCKS,
      evidence: `${fired()} deadlocks, by Postgres' log`,
      healedAtMs: history.now,
    };
  },
};

export const serializationFailures: Fault = {
  name: "serialization-failures",
  title: "the persister under REPEATABLE READ beside somebody who keeps touching its rows: it runs again until it fits",
  settings: { persister: { PGOPTIONS: "-c default_transaction_isolation=repeatable\\ read" } },
  async strike(stage) {
    const { system, sale, history } = stage;
    const text = "could not serialize access";
    const before = saidByPostgres(stage, text);
    const endsAt = performance.now() + CONFLICTS_FOR_MS;
    const touch = () => system.pool.query("UPDATE stock SET sold = sold WHERE sale_id = $1", [sale.id]);
    const isDone = () => performance.now() > endsAt && saidByPostgres(stage, text) > before;
    await until(async () => {
      await touch();
      await sleep(CONFLICT_EVERY_MS);
      return isDone();
    }, COMES_WITHIN_MS);
    const fired = saidByPostgres(stage, text) - before;
    return { fired, evidence: `${fired} serialization failures, by Postgres' log`, healedAtMs: history.now };
  },
};

/** Somebody waits for a lock that we hold. */
async function isWaitedFor({ system }: Stage): Promise<boolean> {
  const sql = `SELECT FROM pg_stat_activity WHERE application_name LIKE 'onrush%persister%' AND wait_event_type = 'Lock'`;
  return ((await system.pool.query(sql)).rowCount ?? 0) > 0;
}

function saidByPostgres({ system }: Stage, text: string): number {
  return readFileSync(path.join(system.folder, "postgres.log"), "utf8").split(text).length - 1;
}

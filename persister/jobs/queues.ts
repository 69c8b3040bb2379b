// Creates pg-boss' schema and the queues of engine/outbox/queues.ts. Runs as part of the migrations.
import { PgBoss } from "pg-boss";
import { QUEUES } from "../../engine/outbox/queues.ts";

/** Brings pg-boss' schema and every queue's options to this version. Repeatable. */
export async function prepareQueues(databaseUrl: string): Promise<void> {
  const boss = new PgBoss({ connectionString: databaseUrl, supervise: false, schedule: false, max: 2 });
  boss.on("error", () => undefined); // each failing call also rejects below; without a listener it would end the process
  await boss.start();
  try {
    for (const [name, options] of Object.entries(QUEUES)) {
      const present = await boss.getQueue(name);
      if (present) await boss.updateQueue(name, options);
      else await boss.createQueue(name, options);
    }
  } finally {
    await boss.stop({ graceful: false });
  }
}

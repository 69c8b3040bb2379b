// The provider's webhooks. What ends is written down to be told in the statement that ends it, and told after its commit: a
// provider that is killed in between tells it when it is back. An event may come twice, and in any order.
//
// Tries end: after the last one, some twenty minutes after the first, the merchant is left to look the key up.
import type pg from "pg";
import type { Logger } from "../../../../engine/log.ts";
import { signWebhook } from "../../../../engine/webhooks/signature.ts";
import { HttpCallError, openHttpClient } from "../http-client.ts";
import { type Rounds, startRounds } from "../rounds.ts";

/** Where webhooks go, and what they are signed with (`whsec_...`). */
export interface WebhookTarget {
  readonly url: string;
  readonly secret: string;
}

interface DueWebhook {
  readonly id: string;
  readonly type: string;
  readonly key: string;
  readonly createdAt: Date;
  readonly tries: number;
  /** Of this try, by the clock of the books. */
  readonly timestampSeconds: number;
}

const TRIES_MAX = 12;
const PER_ROUND_MAX = 64;
const CONNECTIONS_MAX = 16;
const TIMEOUT_MS = 5_000;
/** Longer than a round takes: nobody else takes a webhook that is under way. */
const LEASE_S = 30;
const RETRY_DELAY_S_MAX = 300;
/** What is due again, or was left by a process that is gone, is looked for this often. */
const EVERY_MS = 1_000;

/** SQL that writes down what ended in this statement, for the rows (outcome, key, ended_at) of `ended`. */
export function tellingEndsOf(ended: string): string {
  return `INSERT INTO simulated_gateway.webhooks (type, key)
    SELECT 'charge.' || outcome, key FROM ${ended} WHERE ended_at = now()`;
}

/** Writes down a refund that is about to be committed. */
export async function tellRefund(client: pg.ClientBase, key: string): Promise<void> {
  await client.query("INSERT INTO simulated_gateway.webhooks (type, key) VALUES ('refund.succeeded', $1)", [key]);
}

/** Delivers what is written down, until it is stopped. */
export function startDeliveries(pool: pg.Pool, target: WebhookTarget, log?: Logger): Rounds {
  const client = openHttpClient({ url: target.url, timeoutMs: TIMEOUT_MS, connectionsMax: CONNECTIONS_MAX });

  /** @returns why it was not taken, or undefined */
  async function deliver({ id, type, key, createdAt, timestampSeconds }: DueWebhook): Promise<string | undefined> {
    const body = Buffer.from(JSON.stringify({ type, timestamp: createdAt.toISOString(), data: { key } }));
    const headers = {
      "webhook-id": id,
      "webhook-timestamp": String(timestampSeconds),
      "webhook-signature": signWebhook(target.secret, id, timestampSeconds, body),
    };
    try {
      const { status } = await client.call({ method: "POST", path: "", headers, body });
      return status >= 200 && status < 300 ? undefined : `http_${status}`;
    } catch (error) {
      if (!(error instanceof HttpCallError)) throw error;
      return error.code;
    }
  }

  async function round(): Promise<number> {
    const due = await takeDue(pool);
    const problems = await Promise.all(due.map(deliver));
    const done = due.filter(({ tries }, index) => problems[index] === undefined || tries >= TRIES_MAX);
    const again = due.filter((webhook) => !done.includes(webhook));
    for (const [index, { id, type, key, tries }] of due.entries()) {
      const code = problems[index];
      if (code !== undefined && tries >= TRIES_MAX) log?.warn({ id, type, key, code }, "a webhook was never taken");
    }
    await Promise.all([forget(pool, done), postpone(pool, again)]);
    return due.length < PER_ROUND_MAX ? EVERY_MS : 0;
  }

  const rounds = startRounds("webhooks", round, log);
  return {
    wake: rounds.wake,
    async stop() {
      client.close();
      await rounds.stop();
    },
  };
}

async function takeDue(pool: pg.Pool): Promise<DueWebhook[]> {
  const result = await pool.query<DueWebhook>({
    name: "takeDueWebhooks",
    text: `WITH due AS (
       SELECT id FROM simulated_gateway.webhooks WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
     )
     UPDATE simulated_gateway.webhooks w SET tries = w.tries + 1, due_at = now() + $2 * interval '1 second'
     FROM due WHERE w.id = due.id
     RETURNING w.id, w.type, w.key, w.tries, w.created_at AS "createdAt",
       extract(epoch FROM now())::integer AS "timestampSeconds"`,
    values: [PER_ROUND_MAX, LEASE_S],
  });
  return result.rows;
}

async function forget(pool: pg.Pool, webhooks: readonly DueWebhook[]): Promise<void> {
  if (webhooks.length === 0) return;
  await pool.query({
    name: "forgetWebhooks",
    text: "DELETE FROM simulated_gateway.webhooks WHERE id = ANY($1::text[])",
    values: [webhooks.map(({ id }) => id)],
  });
}

/** The delay doubles with each try, give or take a quarter. */
async function postpone(pool: pg.Pool, webhooks: readonly DueWebhook[]): Promise<void> {
  if (webhooks.length === 0) return;
  await pool.query({
    name: "postponeWebhooks",
    text: `UPDATE simulated_gateway.webhooks
       SET due_at = now() + least(2 ^ (tries - 1), $2) * (0.75 + random() / 2) * interval '1 second'
       WHERE id = ANY($1::text[])`,
    values: [webhooks.map(({ id }) => id), RETRY_DELAY_S_MAX],
  });
}

// Reads what became of a sale's money where it is kept: attempts, refunds and wallets in Postgres, and the card provider's
// ledger over HTTP.
import { setTimeout as sleep } from "node:timers/promises";
import { transaction } from "../../engine/ledger/database.ts";
import type {
  AttemptRow,
  Books,
  ChargeRow,
  RefundRow,
  ReturnRow,
  WalletBooks,
  WalletTransfer,
} from "./checker/books.ts";
import type { System } from "./system.ts";

const LEDGER_PAGE = 1_000;
const LEDGER_ATTEMPTS_MAX = 20;

type Money = Pick<Books, "charges" | "attempts" | "refunds" | "returns" | "wallets" | "eventsOpen">;

/** To be called at rest. */
export async function readMoney(system: System, saleId: string): Promise<Money> {
  const { walletCharges, others, ...ledger } = await readLedger(system, saleId);
  // Charges are not told apart by sale: those of other sales' orders are passed over, those of nobody's are ours to explain.
  const isOurs = ({ key }: ChargeRow) => !others.has(key.split(":")[0] ?? "");
  const charges = [...(await readCharges(system)), ...walletCharges].filter(isOurs);
  return { ...ledger, charges };
}

async function readLedger({ pool }: System, saleId: string) {
  return await transaction(pool, async (db) => {
    await db.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const rows = async <Row extends object>(text: string, values: readonly unknown[] = [saleId]) =>
      (await db.query<Row>(text, [...values])).rows;
    const others = await rows<{ id: string }>("SELECT id FROM orders WHERE sale_id <> $1");
    const walletCharges = await rows<ChargeRow>(
      `SELECT c.key, 'wallet' AS method, c.amount, c.refunded, c.state, extract(epoch FROM c.at)::float8 * 1000 AS "createdAtMs",
         (SELECT coalesce(json_agg(json_build_object('key', t.reference, 'amount', t.amount)), '[]')
          FROM wallet_transfers t WHERE t.kind = 'refund' AND t.charge_key = c.key) AS refunds
       FROM wallet_charges c`,
      [],
    );
    const wallets: WalletBooks = {
      accounts: await rows<WalletBooks["accounts"][number]>(
        "SELECT id, owner, balance FROM wallet_accounts ORDER BY id",
        [],
      ),
      transfers: await rows<WalletTransfer>(
        `SELECT id, kind, reference, debit_account AS debit, credit_account AS credit, amount, balance,
           charge_key AS "chargeKey" FROM wallet_transfers ORDER BY id`,
        [],
      ),
      charges: walletCharges.filter(({ state }) => state === "succeeded"),
    };
    const [events] = await rows<{ open: number }>(
      "SELECT count(*)::int AS open FROM payment_events WHERE handled_at IS NULL",
      [],
    );
    return {
      others: new Set(others.map(({ id }) => id)),
      walletCharges,
      wallets,
      eventsOpen: events?.open ?? 0,
      attempts: await rows<AttemptRow>(
        `SELECT a.order_id AS "orderId", a.attempt, a.method, a.state, a.surplus, a.error
         FROM payment_attempts a JOIN orders o ON o.id = a.order_id WHERE o.sale_id = $1`,
      ),
      refunds: await rows<RefundRow>(
        `SELECT r.id, r.order_id AS "orderId", r.attempt, r.method, r.scope, r.amount, r.restock, r.state,
           (SELECT coalesce(json_agg(json_build_object('productId', l.product_id, 'quantity', l.quantity)), '[]')
            FROM refund_lines l WHERE l.refund_id = r.id) AS lines
         FROM refunds r JOIN orders o ON o.id = r.order_id WHERE o.sale_id = $1`,
      ),
      returns: await rows<ReturnRow>(
        `SELECT movement_id AS "movementId", order_id AS "orderId", restock, units FROM order_returns WHERE sale_id = $1`,
      ),
    };
  });
}

/** @returns what is on its way, in words; `undefined`: nothing is */
export async function moneyInMotion({ pool }: System, saleId: string): Promise<string | undefined> {
  const result = await pool.query<Record<string, number>>(
    `WITH ours AS (SELECT id, status, late_capture FROM orders WHERE sale_id = $1)
     SELECT (SELECT count(*)::int FROM payment_attempts a JOIN ours ON ours.id = a.order_id
         WHERE a.state = 'started' OR a.surplus = 'owed') AS payments,
       (SELECT count(*)::int FROM ours WHERE status = 'CANCELLED' AND late_capture IS NOT NULL) AS "late captures",
       (SELECT count(*)::int FROM refunds r JOIN ours ON ours.id = r.order_id
         WHERE r.state = 'pending' OR (r.state = 'succeeded' AND r.returned_at IS NULL)) AS refunds,
       (SELECT count(*)::int FROM payment_events WHERE handled_at IS NULL) AS "payment events",
       (SELECT count(*)::int FROM simulated_gateway.webhooks) AS "webhooks of the provider"`,
    [saleId],
  );
  const moving = Object.entries(result.rows[0] ?? {}).filter(([, count]) => count > 0);
  return moving.length === 0
    ? undefined
    : `${moving.map(([what, count]) => `${count} ${what}`).join(", ")} on their way`;
}

/** The card provider's whole ledger. */
export async function readCharges({ gateway }: System): Promise<ChargeRow[]> {
  const found: ChargeRow[] = [];
  let after = "";
  for (;;) {
    const page = await readPage(
      `${gateway.url}/ledger?limit=${LEDGER_PAGE}&after=${encodeURIComponent(after)}`,
      gateway.key,
    );
    for (const { key, amount, refunded, refunds, state, createdAt } of page.charges) {
      const createdAtMs = Date.parse(createdAt);
      found.push({ key, method: "card", amount, refunded, refunds, state, createdAtMs });
    }
    if (page.next === null) return found;
    after = page.next;
  }
}

interface LedgerPage {
  readonly charges: readonly (Omit<ChargeRow, "createdAtMs" | "method"> & { readonly createdAt: string })[];
  readonly next: string | null;
}

async function readPage(url: string, key: string): Promise<LedgerPage> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
      if (!answer.ok) throw new Error(`GET ${url}: ${answer.status}`);
      return (await answer.json()) as LedgerPage;
    } catch (error) {
      if (attempt === LEDGER_ATTEMPTS_MAX) throw error;
      await sleep(100);
    }
  }
}

// The least that writing these orders costs Postgres: the very rows that the persister wrote (orders, lines, timelines),
// read back, and inserted again through unnest into tables with the same columns, indexes and checks, as many a transaction
// as the persister takes. No guard, no ledger, no positions, no payment work.
import pg from "pg";
import { onOrder, report } from "../own-process.ts";

export interface RawOrder {
  readonly databaseUrl: string;
  readonly saleId: string;
  readonly ordersMax: number;
}

export interface RawReport {
  readonly orders: number;
  readonly seconds: number;
}

interface Statement {
  readonly text: string;
  readonly values: readonly (string | null)[][];
}

/** As persister/partition-applier.ts takes them. */
const ORDERS_PER_TRANSACTION = 2_048;
const SCHEMA = "bench_raw";
const TABLES = [
  { name: "orders", key: "id" },
  { name: "order_lines", key: "order_id" },
  { name: "order_timeline", key: "order_id" },
] as const;
/** Values come and go as Postgres writes them: nothing is converted in between. */
const AS_TEXT = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig;

onOrder<RawOrder>(async ({ databaseUrl, saleId, ordersMax }) => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE; CREATE SCHEMA ${SCHEMA}`);
  for (const { name } of TABLES) {
    await client.query(`CREATE TABLE ${SCHEMA}.${name} (LIKE public.${name} INCLUDING ALL)`);
  }
  const ids = await client.query<{ id: string }>(
    "SELECT id FROM orders WHERE sale_id = $1 ORDER BY epoch, seq, hold_reservation LIMIT $2",
    [saleId, ordersMax],
  );
  const batches: Statement[][] = [];
  for (let from = 0; from < ids.rows.length; from += ORDERS_PER_TRANSACTION) {
    const batch = ids.rows.slice(from, from + ORDERS_PER_TRANSACTION).map(({ id }) => id);
    const statements: Statement[] = [];
    for (const table of TABLES) statements.push(await insertOf(client, table, batch));
    batches.push(statements);
  }
  const startedAt = performance.now();
  for (const statements of batches) {
    await client.query("BEGIN");
    for (const [i, { text, values }] of statements.entries()) {
      await client.query({ name: `insert_${i}`, text, values: values as unknown[] });
    }
    await client.query("COMMIT");
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await client.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
  await client.end();
  report({ orders: ids.rows.length, seconds } satisfies RawReport);
});

async function insertOf(
  client: pg.Client,
  { name, key }: (typeof TABLES)[number],
  ids: readonly string[],
): Promise<Statement> {
  const columns = await client.query<{ column: string; type: string }>(
    `SELECT attname AS column, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [`public.${name}`],
  );
  const rows = await client.query<(string | null)[]>({
    text: `SELECT * FROM public.${name} WHERE ${key} = ANY($1::uuid[])`,
    values: [ids],
    rowMode: "array",
    types: AS_TEXT,
  });
  const names = columns.rows.map(({ column }) => column);
  const arrays = columns.rows.map(({ type }, i) => `$${i + 1}::${type}[]`);
  return {
    text: `INSERT INTO ${SCHEMA}.${name} (${names.join(", ")}) SELECT * FROM unnest(${arrays.join(", ")})`,
    values: columns.rows.map((_, i) => rows.rows.map((row) => row[i] ?? null)),
  };
}

// The same rows as raw-inserts.ts, by COPY: they leave Postgres as COPY writes them and come back so, a file a transaction of the
// persister's size, into tables with the same columns, indexes and checks.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { onOrder, report } from "../own-process.ts";
import type { RawOrder, RawReport } from "./raw-inserts.ts";

/** As persister/partition-applier.ts takes them. */
const ORDERS_PER_TRANSACTION = 2_048;
const SCHEMA = "bench_copy";
const TABLES = [
  { name: "orders", key: "id" },
  { name: "order_lines", key: "order_id" },
  { name: "order_timeline", key: "order_id" },
] as const;

onOrder<RawOrder>(async ({ databaseUrl, saleId, ordersMax }) => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE; CREATE SCHEMA ${SCHEMA}`);
  for (const { name } of TABLES) {
    await client.query(`CREATE TABLE ${SCHEMA}.${name} (LIKE public.${name} INCLUDING ALL)`);
  }
  await client.query("CREATE TEMPORARY TABLE batches (id uuid PRIMARY KEY, batch integer NOT NULL)");
  const placed = await client.query(
    `INSERT INTO batches SELECT id, (row_number() OVER (ORDER BY epoch, seq, hold_reservation) - 1) / $3
     FROM orders WHERE sale_id = $1 ORDER BY epoch, seq, hold_reservation LIMIT $2`,
    [saleId, ordersMax, ORDERS_PER_TRANSACTION],
  );
  await client.query("ANALYZE batches");
  const orders = placed.rowCount ?? 0;
  const batches: Buffer[][] = [];
  for (let batch = 0; batch * ORDERS_PER_TRANSACTION < orders; batch += 1) {
    const files: Buffer[] = [];
    for (const { name, key } of TABLES) files.push(await rowsOf(client, name, key, batch));
    batches.push(files);
  }
  const startedAt = performance.now();
  for (const files of batches) {
    await client.query("BEGIN");
    for (const [i, { name }] of TABLES.entries()) {
      const into = client.query(copyFrom(`COPY ${SCHEMA}.${name} FROM STDIN`));
      await pipeline(Readable.from([files[i]]), into);
    }
    await client.query("COMMIT");
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const copied = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${SCHEMA}.orders`);
  if (Number(copied.rows[0]?.n) !== orders) throw new Error(`${copied.rows[0]?.n} of ${orders} orders were copied`);
  await client.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
  await client.end();
  report({ orders, seconds } satisfies RawReport);
});

async function rowsOf(client: pg.Client, table: string, key: string, batch: number): Promise<Buffer> {
  const rows = `SELECT t.* FROM public.${table} t JOIN batches b ON b.id = t.${key} WHERE b.batch = ${batch}`;
  const chunks: Buffer[] = [];
  for await (const chunk of client.query(copyTo(`COPY (${rows}) TO STDOUT`))) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

// Arrays by their text: Postgres reads from it what was meant, whatever is in the strings.
import fc from "fast-check";
import { expect, test } from "vitest";
import { arrayLiteral, column } from "../../engine/ledger/array-literal.ts";
import { createTestDatabase } from "../support/postgres.ts";

const { pool } = await createTestDatabase();

/** Text as Postgres can hold it. */
const storable = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.replaceAll("\0", "")),
  fc.constantFrom(
    "",
    " ",
    "NULL",
    "null",
    "Null",
    "{",
    "}",
    "{}",
    ",",
    '"',
    "\\",
    '\\"',
    "a b",
    " a",
    "a\n",
    "커피",
    "PAID",
    "1e5",
  ),
  fc.uuid(),
);

test("texts come back as they went, in any mixture with nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(storable), { maxLength: 30 }), async (texts) => {
      const result = await pool.query<{ texts: (string | null)[] }>("SELECT $1::text[] AS texts", [
        arrayLiteral(texts),
      ]);
      expect(result.rows[0]?.texts).toEqual(texts);
    }),
    { numRuns: 500 },
  );
});

test("numbers, ids and JSON come back as they went", async () => {
  const rows = [
    {
      id: "018f4e1c-7b1a-7000-8000-0123456789ab",
      count: 9_007_199_254_740_991,
      address: { street: 'Main "1"\\2, {x}' },
    },
    { id: "018f4e1c-7b1a-7000-8000-0123456789ac", count: -1, address: null },
  ];
  const result = await pool.query(
    `SELECT id, count, address FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[]) AS t (id, count, address)`,
    [
      column(rows, (row) => row.id),
      column(rows, (row) => row.count),
      column(rows, (row) => row.address && JSON.stringify(row.address)),
    ],
  );
  expect(result.rows.map((row) => ({ ...row, count: Number(row.count) }))).toEqual(rows);
});

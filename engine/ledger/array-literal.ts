// Arrays as Postgres reads them. pg's own way quotes and escapes every element, numbers too, which was a tenth of what the
// persister did: wide inserts carry some thirty arrays a batch.

/** What stands for itself in an array. Words of four letters are quoted all the same: NULL is one, in any case. */
const PLAIN = /^[\w:.-]+$/;
const NULL_LENGTH = 4;

/** The values as the text of an array of any scalar type, for a parameter with a cast: `$1::uuid[]`. */
export function arrayLiteral(values: readonly (string | number | null)[]): string {
  return column(values, (value) => value);
}

/** The same of one value of each row. */
export function column<Row>(rows: readonly Row[], pick: (row: Row) => string | number | null): string {
  let text = "{";
  for (let i = 0; i < rows.length; i += 1) {
    const value = pick(rows[i] as Row);
    if (i > 0) text += ",";
    if (value === null) text += "NULL";
    else if (typeof value === "number" || (value.length !== NULL_LENGTH && PLAIN.test(value))) text += value;
    else text += `"${value.replace(/[\\"]/g, "\\$&")}"`;
  }
  return `${text}}`;
}

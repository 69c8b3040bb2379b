// Known ways to ruin Onrush, each as edits of its sources, and the faults under which the suite has to notice.
// An edit's `find` must stand exactly once in its file: when the code has moved on, the mutant says so instead of passing.

export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** Which safety is gone. */
  readonly without: string;
  readonly edits: readonly Edit[];
  readonly faults: readonly string[];
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "no-dedupe",
    without: "place.lua knows neither an id nor an idempotency key again",
    edits: [
      { file: "lua/place.lua", find: "  if held[id] then\n", replace: "  if false then\n" },
      { file: "lua/place.lua", find: "  if past then return", replace: "  if false then return" },
      { file: "lua/place.lua", find: "    if first then\n", replace: "    if false then\n" },
    ],
    faults: ["answer-lost"],
  },
  {
    name: "no-idempotency-key",
    without: "place.lua does not look the idempotency key up",
    edits: [{ file: "lua/place.lua", find: "    if first then\n", replace: "    if false then\n" }],
    faults: ["api-killed"],
  },
  {
    name: "acknowledged-before-commit",
    without: "the persister acknowledges its entries and gives them up before its commit",
    edits: [
      {
        file: "persister/partition-applier.ts",
        find: "    const outcome = await applyMovements(this.#deps, this.at, batch);\n",
        // Redis keeps what is trimmed for a while, by whole nodes; deleted, the loss does not hide behind that.
        replace:
          "    const ids = batch.map((movement) => formatPosition(movement.position));\n" +
          "    await acknowledge(this.#deps.redis, this.at, { epoch: 0, seq: 0 }, 0, batch.map((m) => m.position));\n" +
          '    await this.#deps.redis.xdel("onrush:{" + partitionName(this.at) + "}:stream", ...ids);\n' +
          "    const outcome = await applyMovements(this.#deps, this.at, batch);\n",
      },
    ],
    faults: ["commit-cut"],
  },
  {
    name: "position-before-commit",
    without: "the position is committed before what it stands for",
    edits: [
      {
        file: "persister/apply.ts",
        find: "    const changes = await writePlan(client, deps.outbox, at, plan);\n",
        replace:
          "    await advancePosition(client, at, last.position, plan.reservation);\n" +
          '    await client.query("COMMIT");\n' +
          '    await client.query("BEGIN");\n' +
          "    const changes = await writePlan(client, deps.outbox, at, plan);\n",
      },
    ],
    faults: ["commit-answer-lost"],
  },
  {
    name: "no-ledger-guard",
    without: "Postgres' guard and its CHECK are gone while Redis oversells",
    edits: [
      {
        file: "persister/plan.ts",
        find: "      const fits = [...wanted].every(([sku, units]) => this.#room(sku) >= units);\n",
        replace: "      const fits = [...wanted].every(([sku, units]) => this.#room(sku) >= units || units > 0);\n",
      },
      {
        file: "persister/migrations/0002_ledger.sql",
        find: "CHECK (reserved + sold <= allocated)",
        replace: "CHECK (reserved + sold >= 0)",
      },
    ],
    faults: ["redis-oversells"],
  },
  {
    name: "capped-stream",
    without: "the log is capped by its length",
    edits: [
      {
        file: "lua/place.lua",
        find: "redis.call('XADD', KEYS[9], ",
        replace: "redis.call('XADD', KEYS[9], 'MAXLEN', 10, ",
      },
    ],
    faults: ["persister-frozen"],
  },
  {
    name: "no-epoch",
    without: "place.lua accepts under whatever epoch",
    edits: [
      {
        file: "lua/place.lua",
        find: "if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end\n",
        replace: "",
      },
    ],
    faults: ["epoch-raised"],
  },
  {
    name: "no-reservation-number",
    without: "release.lua and settle.lua move a hold under whatever reservation number",
    edits: [{ file: "lua/include/holds.lua", find: "if reservation ~= number then", replace: "if false then" }],
    faults: ["stale-release"],
  },
];

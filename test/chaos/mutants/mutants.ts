// Known ways to ruin Onrush, each as edits of its sources, and the faults under which the suite has to notice.
// An edit's `find` must stand exactly once in its file: when the code has moved on, the mutant says so instead of passing.
import type { PromiseNumber } from "../checker/books.ts";

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
  /** One of these promises must be seen broken: that a ruined system is slow to come to rest shows nothing. */
  readonly breaks: readonly PromiseNumber[];
  /** What the sale gets to come to rest, where that takes longer than usual. */
  readonly patienceSeconds?: number;
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
    breaks: [6],
  },
  {
    name: "no-idempotency-key",
    without: "place.lua does not look the idempotency key up",
    edits: [{ file: "lua/place.lua", find: "    if first then\n", replace: "    if false then\n" }],
    faults: ["api-killed"],
    breaks: [6],
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
    breaks: [4],
  },
  {
    name: "position-before-commit",
    without: "the position is committed before what it stands for",
    edits: [
      {
        file: "persister/apply.ts",
        find: "    const changes = await writePlan(client, deps, at, plan);\n",
        replace:
          "    await advancePosition(client, at, last.position, plan.reservation);\n" +
          // By its other name, so that the fault meets the COMMIT of the data, each time.
          '    await client.query("END");\n' +
          '    await client.query("BEGIN");\n' +
          "    const changes = await writePlan(client, deps, at, plan);\n",
      },
    ],
    faults: ["commit-cut"],
    breaks: [1, 4],
  },
  {
    name: "no-ledger-guard",
    without: "Postgres' guard and its CHECK are gone while Redis oversells",
    edits: [
      {
        file: "persister/planned-units.ts",
        find: "return [...units].every(([sku, wanted]) => this.#room(sku) >= wanted);",
        replace: "return [...units].every(([sku, wanted]) => this.#room(sku) >= wanted || wanted > 0);",
      },
      {
        file: "persister/migrations/0002_ledger.sql",
        find: "CHECK (reserved + sold <= allocated)",
        replace: "CHECK (reserved + sold >= 0)",
      },
    ],
    faults: ["redis-oversells"],
    breaks: [2],
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
    breaks: [4],
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
    breaks: [2],
  },
  {
    name: "no-reservation-number",
    without: "release.lua and settle.lua move a hold under whatever reservation number",
    edits: [{ file: "lua/include/holds.lua", find: "if reservation ~= number then", replace: "if false then" }],
    faults: ["stale-release"],
    breaks: [1, 3],
  },
  {
    name: "no-regression-check",
    without: "a Redis from the past is not noticed, neither by place.lua nor after a reconnect",
    edits: [
      {
        file: "lua/place.lua",
        find: "if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end\n",
        replace: "",
      },
      {
        file: "engine/durability/regression.ts",
        find: "if (!found || comparePositions(found, known) < 0) lost.push",
        replace: "if (!found || comparePositions(found, { ...known, seq: 0 }) < 0) lost.push",
      },
    ],
    faults: ["old-aof"],
    breaks: [1, 2, 4],
  },
  {
    name: "worker-knows-its-own-alone",
    without: "a worker that begins moves stock without asking how far the logs had come",
    edits: [
      {
        file: "persister/jobs/worker.ts",
        find: "new PartitionStock(redis, positions, new ReachedPositions(redis, pool, positions).learned)",
        replace: "new PartitionStock(redis, positions, void ReachedPositions)",
      },
    ],
    faults: ["old-aof-cold"],
    breaks: [4],
  },
  {
    name: "no-fence",
    without: "a rebuild does not keep the scripts from the partition that it rebuilds",
    edits: [
      {
        file: "persister/recovery/rebuild.ts",
        find: "  await fence(deps, at);\n",
        replace: "  if (!at) await fence(deps, at);\n",
      },
    ],
    faults: ["rebuilt-under-load"],
    breaks: [1, 4],
  },
  {
    name: "no-holdback",
    without: "a rebuild holds nothing back for the orders that are lost",
    edits: [
      {
        file: "persister/recovery/rebuild.ts",
        find: "for (const [productId, quantity] of loss.heldBack) {",
        replace: "for (const [productId, quantity] of [...loss.heldBack].slice(0, 0)) {",
      },
    ],
    faults: ["old-aof"],
    breaks: [4],
  },
  {
    name: "losses-undeclared",
    without: "a rebuild declares nothing lost",
    edits: [
      {
        file: "persister/recovery/rebuild.ts",
        find: "if (loss.lost) await declareLost",
        replace: "if (!at) await declareLost",
      },
    ],
    faults: ["old-aof"],
    breaks: [4],
  },
  {
    name: "charged-anew",
    without: "a payment that is taken over is charged under another key, without asking after the first",
    edits: [
      { file: "persister/jobs/payment/attempt.ts", find: "  if (calls > 1) {\n", replace: "  if (calls > 99) {\n" },
      {
        file: "persister/jobs/payment/attempt.ts",
        find: "    gateway.charge({ key, amount, currency, token }, signal),\n",
        replace:
          '    gateway.charge({ key: calls > 1 ? key + ":" + String(calls) : key, amount, currency, token }, signal),\n',
      },
    ],
    faults: ["crash:worker:charge:after"],
    breaks: [5],
    patienceSeconds: 45,
  },
  {
    name: "refund-without-key",
    without: "a refund is asked for under another key each time",
    edits: [
      {
        file: "persister/jobs/refunds/give-back.ts",
        find: "return { key: id, chargeKey,",
        replace: 'return { key: id + ":" + String(Math.random()), chargeKey,',
      },
    ],
    faults: ["crash:worker:refund:after"],
    breaks: [5],
  },
  {
    name: "take-back-without-id",
    without: "take-back.lua does not know a return again",
    edits: [{ file: "lua/take-back.lua", find: "  if known[ids[i]] then\n", replace: "  if false then\n" }],
    faults: ["refunds-under-kills"],
    breaks: [1],
  },
  {
    name: "revive-without-limit",
    without: "revive.lua does not ask for the buyer's limit",
    edits: [
      { file: "lua/revive.lua", find: "if max > 0 and has + units > max then", replace: "if has + units < 0 then" },
    ],
    faults: ["paid-after-expiry"],
    breaks: [6],
    patienceSeconds: 60,
  },
  {
    name: "points-spent-blindly",
    without: "the persister spends points without looking at what is left",
    edits: [{ file: "persister/planned-points.ts", find: "    if (left < 0) return false;\n", replace: "" }],
    faults: ["discounts-killed-at-random"],
    breaks: [5],
  },
  {
    name: "points-given-back-twice",
    without: "a cancelled order gives twice the points back that it spent",
    edits: [
      {
        file: "engine/points/order-points.ts",
        find: 'kind: "give_back", occurrence, amount: -amount,',
        replace: 'kind: "give_back", occurrence, amount: -2 * amount,',
      },
    ],
    faults: ["discounts-killed-at-random"],
    breaks: [5],
  },
  {
    name: "coupon-without-use",
    without: "an order with a coupon takes none of its uses",
    edits: [
      {
        file: "engine/pricing.ts",
        find: "lines: discounts?.coupon ? [",
        replace: "lines: discounts?.coupon && price < 0 ? [",
      },
    ],
    faults: ["discounts-killed-at-random"],
    breaks: [5],
  },
  {
    name: "late-success-ignored",
    without: "a payment that succeeds after its order was cancelled is taken down and forgotten",
    edits: [
      {
        file: "engine/ledger/late-payments.ts",
        find: "CASE WHEN state <> 'succeeded' OR amount = 0 THEN NULL",
        replace: "CASE WHEN state <> 'succeeded' OR amount >= 0 THEN NULL",
      },
    ],
    faults: ["paid-after-expiry"],
    breaks: [5],
    patienceSeconds: 60,
  },
  {
    name: "cursor-before-deliveries",
    without: "the cursor along the events is moved, for good, before their deliveries are written",
    edits: [
      {
        file: "engine/webhooks/dispatch.ts",
        find: "    const { high, horizon, steps, last } = await tell(client, cursor, xactsMax, stepsMax);\n",
        replace:
          '    await client.query("SAVEPOINT told");\n' +
          "    const ahead = await tell(client, cursor, xactsMax, stepsMax);\n" +
          '    await client.query("ROLLBACK TO SAVEPOINT told");\n' +
          "    await moveCursor(client, { xact: Math.max(ahead.high, cursor.xact), orderId: NO_ORDER, version: 0 });\n" +
          '    await client.query("COMMIT");\n' +
          '    await client.query("BEGIN");\n' +
          "    const { high, horizon, steps, last } = await tell(client, cursor, xactsMax, stepsMax);\n",
      },
    ],
    faults: ["receivers-fail"],
    breaks: [4],
  },
  {
    name: "any-answer-takes",
    without: "a webhook counts as taken whatever its receiver answers",
    edits: [
      {
        file: "persister/jobs/webhooks/sender.ts",
        find: "const taken = status !== null && status >= 200 && status < 300;",
        replace: "const taken = status !== null && status >= 200;",
      },
    ],
    faults: ["receivers-fail"],
    breaks: [4],
  },
  {
    name: "webhook-id-each-try",
    without: "each try of a webhook has an id of its own",
    edits: [
      {
        file: "persister/jobs/webhooks/deliveries.ts",
        find: "    const { id, eventId } = delivery;\n",
        replace:
          "    const { id } = delivery;\n" +
          '    const eventId = delivery.eventId + "_" + String(Math.random()).slice(2);\n',
      },
    ],
    faults: ["receivers-fail"],
    breaks: [4],
  },
];

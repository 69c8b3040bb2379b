// Known ways to break the way from admission to the ledger, each as edits of the sources, that the model has to notice.
// An edit's `find` must stand exactly once in its file: when the code has moved on, the break says so instead of passing.
import type { Edit } from "../chaos/mutants/mutants.ts";

export interface Break {
  readonly name: string;
  /** Which safety is gone. */
  readonly without: string;
  readonly edits: readonly Edit[];
}

const place = (find: string, replace: string): Edit => ({ file: "lua/place.lua", find, replace });
const applying = (find: string, replace: string): Edit => ({ file: "persister/apply.ts", find, replace });
const rebuilding = (find: string, replace: string): Edit => ({ file: "persister/recovery/rebuild.ts", find, replace });

const PASSED_OVER = "movements.filter((movement) => comparePositions(movement.position, head) > 0);";

export const BREAKS: readonly Break[] = [
  {
    name: "ids-not-known",
    without: "place.lua does not know an id again that it accepted",
    edits: [
      place("  if held[id] then\n", "  if false then\n"),
      place("  if past then return 'KNOWN", "  if false then return 'KNOWN"),
    ],
  },
  {
    name: "keys-not-known",
    without: "place.lua does not look idempotency keys up",
    edits: [place("    if first then\n", "    if false then\n")],
  },
  {
    name: "refusals-not-final",
    without: "a call that is asked again does not make its refusals final",
    edits: [{ file: "engine/admission/place.ts", find: "args[ASKED_AGAIN] = 1", replace: "args[ASKED_AGAIN] = 0" }],
  },
  {
    name: "no-regression-check",
    without: "place.lua accepts though it is behind what its caller has seen",
    edits: [place("if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end\n", "")],
  },
  {
    name: "no-epoch-check",
    without: "place.lua accepts under whatever epoch",
    edits: [place("if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end\n", "")],
  },
  {
    name: "limits-kept",
    without: "release.lua does not give limits back",
    edits: [{ file: "lua/release.lua", find: "'a', KEYS[7], function", replace: "'a', nil, function" }],
  },
  {
    name: "no-reservation-number",
    without: "settle.lua and release.lua end a hold under whatever reservation number",
    edits: [{ file: "lua/include/holds.lua", find: "if reservation ~= number then", replace: "if false then" }],
  },
  {
    name: "redelivery-applied",
    without: "entries that were applied before are applied again",
    edits: [
      applying(PASSED_OVER, "[...movements];"),
      applying("hole === -1 ? movements : movements.slice(0, hole)", "movements"),
    ],
  },
  {
    name: "epoch-not-compared",
    without: "the persister applies entries of whatever epoch",
    edits: [
      applying(PASSED_OVER, "movements.filter((movement) => movement.position.seq > head.seq);"),
      applying("position.epoch !== head.epoch || position.seq", "position.seq"),
    ],
  },
  {
    name: "gap-not-seen",
    without: "the persister applies what comes after a missing number",
    edits: [applying(" || position.seq !== head.seq + 1 + i,", ",")],
  },
  {
    name: "position-not-locked",
    without: "two persisters may apply at the same time",
    edits: [
      {
        file: "engine/ledger/log.ts",
        find: "FROM sale_partitions WHERE sale_id = $1 AND partition = $2 FOR UPDATE`",
        replace: "FROM sale_partitions WHERE sale_id = $1 AND partition = $2`",
      },
    ],
  },
  {
    name: "no-ledger-guard",
    without: "the ledger lets in what does not fit",
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
  },
  {
    name: "late-attempt-decides",
    without: "the end of an earlier payment attempt picks the order's fate",
    edits: [
      { file: "engine/ledger/payments.ts", find: " AND o.payment_attempts = t.attempt ORDER", replace: " ORDER" },
    ],
  },
  {
    name: "nothing-held-back",
    without: "a rebuild holds nothing back for orders that were acknowledged and lost",
    edits: [rebuilding("of loss.heldBack) {", "of new Map<string, number>()) {")],
  },
  {
    name: "loss-not-declared",
    without: "a rebuild does not declare what is lost",
    edits: [rebuilding("if (loss.lost) await", "if (loss.lost && loss.lost.fromSeq < 0) await")],
  },
  {
    name: "keys-not-rebuilt",
    without: "a rebuild forgets the idempotency keys",
    edits: [rebuilding("for (const day of [today, today - 1])", "for (const day of [today + 2])")],
  },
  {
    name: "revivals-not-final",
    without: "revive.lua decides anew each time that it is asked",
    edits: [
      { file: "lua/revive.lua", find: "local before = known[record]\n", replace: "local before = nil\n" },
      { file: "lua/revive.lua", find: "  if held[id] then", replace: "  if false then" },
    ],
  },
  {
    name: "late-revival-kept",
    without: "an order that is refunded by then is revived all the same",
    edits: [
      {
        file: "persister/plan.ts",
        find: 'order.status === "CANCELLED" ? "revived" : "late"',
        replace: 'order.status === "CANCELLED" ? "revived" : "revived"',
      },
    ],
  },
  {
    name: "returns-keep-limits",
    without: "take-back.lua does not give limits back",
    edits: [{ file: "lua/take-back.lua", find: "give_limits_back(KEYS[3], freed_fields, freed)\n", replace: "" }],
  },
  {
    name: "returns-not-rebuilt",
    without: "a rebuild forgets which returns the ledger has",
    edits: [
      {
        file: "engine/ledger/recovery.ts",
        find: "UNION ALL SELECT movement_id, seq FROM order_returns WHERE sale_id = $1 AND partition = $2",
        replace: "UNION ALL SELECT movement_id, seq FROM order_returns WHERE sale_id = $1 AND partition = $2 AND false",
      },
    ],
  },
  {
    name: "write-offs-stay-allocated",
    without: "units that were written off stay allocated",
    edits: [
      {
        file: "persister/plan.ts",
        find: 'if (!of.restock) this.#stock.change(sku, "allocated", -units);',
        replace: "",
      },
    ],
  },
];

// `onrush orders explain`: why an order was accepted or refused, and what became of it.
import type { Command } from "commander";
import { unreachable } from "../../engine/errors.ts";
import {
  type AcceptedExplanation,
  type Explanation,
  explain,
  type RefusedExplanation,
} from "../../engine/explanation/explain.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { addCommand } from "../command.ts";
import { CommandError } from "../failure.ts";
import { locate, withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";
import { stepOf } from "./orders.ts";

const REDIS_TIMEOUT_MS = 5_000;

/** Adds `explain` to `orders`. */
export function explainCommand(orders: Command): void {
  addCommand<object>(orders, {
    usage: "explain <id>",
    summary: "why an order was accepted or refused, by what exactly, and what became of it",
    details:
      "Takes an order's id, or the requestId of a refusal's problem document. For an accepted order: units and limits as " +
      "the script found them, its entry in the log, payments, movements and states. Refusals are kept for days, and " +
      "sampled when there are more than a few hundred a second; of the others it tells how many there were.",
    examples: [
      "onrush orders explain 6f1a2b3c-0001-8000-9a1b-2c3d4e5f6071",
      "onrush orders explain 1o3m4x2k9f-2s_tb5k9c --json",
    ],
    run: ({ args: [id = ""], answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const redis = commandConnection(locate(process.env).redisUrl, REDIS_TIMEOUT_MS);
        redis.on("error", () => undefined);
        try {
          // Without Redis, what Postgres has can be explained all the same.
          const isReached = await connect(redis).then(
            () => true,
            () => false,
          );
          const found = await explain(pool, isReached ? redis : undefined, id);
          if (!found) throw new CommandError(`Nothing is known of ${id}.`, "NOT_FOUND");
          await answer(found, () => describe(found, terminal.columns));
        } finally {
          redis.disconnect();
        }
      }),
  });
}

function describe(found: Explanation, columns: number | undefined): string {
  switch (found.type) {
    case "accepted":
      return describeAccepted(found, columns);
    case "refused":
      return describeRefused(found);
    case "pending":
      return details([
        ["order", `${found.orderId} was accepted, and is on its way to Postgres`],
        ["sale", `${found.sale.name} (${found.sale.id}), partition ${found.sale.partition}`],
        ["buyer", found.buyer],
        ["entry", `${found.epoch}-${found.seq}, reservation ${found.reservation}`],
        ["at", time(found.at)],
        ["held until", time(found.reservedUntil)],
      ]);
    case "set aside":
      return [
        `Order ${found.orderId} was accepted, and could not be applied: an operator decides (onrush dead list).`,
        ...found.deadLetters.map(({ id, saleId, partition, epoch, seq, state, error }) =>
          details([[`dead letter ${id}`, `${saleId}.${partition} ${epoch}-${seq}, ${state}: ${error}`]]),
        ),
      ].join("\n");
    case "counted":
      return [
        `That request was refused at ${time(found.second)}, when refusals were too many to keep each. Counted in that second:`,
        table(
          ["sale", "code", "refusals"],
          found.refused.map(({ saleId, code, passedOver }) => [saleId, code, passedOver]),
        ),
      ].join("\n");
    default:
      return unreachable(found);
  }
}

function describeRefused(found: RefusedExplanation): string {
  const by = {
    redis: "Redis, by the script, on the state of that number",
    memory: "the process, by what Redis had told it a moment before",
    process: "the process, before Redis was asked",
  }[found.decidedBy];
  return details([
    ["refused", found.code],
    ["request", found.requestId],
    ["order id tried", found.orderId],
    ["buyer", found.buyer],
    ["sale", `${found.sale.name ?? ""} (${found.sale.id}), partition ${found.sale.partition}`],
    ["at", time(found.decidedAt ?? found.at)],
    ["decided by", by],
    ["log", found.seq === null ? null : `${found.epoch}-${found.seq}`],
    ["script", found.script],
    ...Object.entries(found.facts).map(([name, value]) => [name, String(value)] as const),
  ]);
}

function describeAccepted(found: AcceptedExplanation, columns: number | undefined): string {
  const { decision, sale, ledger } = found;
  const { opensAt, closesAt, changedSince } = decision.window;
  const unknown = "not recorded";
  const head = details([
    ["order", `${found.orderId}  ${found.status}${found.reason ? ` (${found.reason})` : ""}`],
    ["buyer", found.buyer],
    ["sale", `${sale.name} (${sale.id}), partition ${sale.partition}`],
    ["accepted at", time(decision.at)],
    ["entry", `${decision.epoch}-${decision.seq}, reservation ${decision.reservation}`],
    ["held until", time(decision.reservedUntil)],
    [
      "window",
      `${time(opensAt)} to ${closesAt ? time(closesAt) : "no end"}${changedSince ? " (sale changed since)" : ""}`,
    ],
    [
      "script",
      decision.script ? `${decision.script}${decision.isPresentScript ? "" : " (another version than this)"}` : unknown,
    ],
    ["ledger", `${ledger.stock}${ledger.honoured ? ", honoured by its receipt" : ""}`],
    ["came back", ledger.returned === 0 ? null : `${ledger.returned} units, ${ledger.restocked} of them on sale again`],
  ]);
  const inputs = table(
    ["product", "wanted", "available before", "limit", "had before"],
    decision.inputs.map(({ name, wanted, availableBefore, limit, usedBefore }) => [
      name,
      wanted,
      availableBefore ?? unknown,
      limit === 0 ? "none" : (limit ?? unknown),
      limit === 0 ? "" : (usedBefore ?? unknown),
    ]),
    { columns },
  );
  const steps = table(
    ["state", "at", "entry", "why"],
    found.timeline.map(({ status, reason, at, epoch, seq, fulfilment }, i) => {
      const entry = i === 0 ? `${decision.epoch}-${decision.seq}` : seq === null ? "" : `${epoch}-${seq}`;
      return [status, time(at), entry, reason ?? (fulfilment ? stepOf(fulfilment) : "")];
    }),
    { columns },
  );
  const payments = table(
    ["attempt", "state", "amount", "calls", "started", "ended", "reference"],
    found.payments.map((of) => [
      of.attempt,
      of.error ? `${of.state}: ${of.error}` : of.state,
      `${of.amount} ${of.currency}`,
      of.calls,
      time(of.startedAt),
      of.endedAt ? time(of.endedAt) : "",
      of.reference ?? "",
    ]),
    { columns },
  );
  const movements = table(
    ["movement", "entry", "at", "units in all"],
    found.movements.map(({ kind, epoch, seq, at, units }) => [kind, `${epoch}-${seq}`, time(at), units]),
    { columns },
  );
  const inexact = decision.script && !decision.isExact ? "\n(at most: lines of the entry could not be read)" : "";
  return [
    head,
    `What was found:\n${inputs}${inexact}`,
    `States:\n${steps}`,
    ...(found.payments.length > 0 ? [`Payments:\n${payments}`] : []),
    `Movements:\n${movements}`,
  ].join("\n\n");
}

function time(at: Date): string {
  return at.toISOString().replace("T", " ");
}

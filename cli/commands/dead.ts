// `onrush dead`: what the persister could not apply, and what becomes of it.
import type { Command } from "commander";
import {
  DEAD_LETTER_STATES,
  type DeadLetterRow,
  type DeadLetterState,
  findDeadLetter,
  listDeadLetters,
} from "../../engine/ledger/dead-letters.ts";
import {
  type DeadLetterDependencies,
  type Decided,
  type Decider,
  discardDeadLetter,
  replayDeadLetter,
} from "../../persister/recovery/dead-letters.ts";
import { addCommand, type Call, oneOf, wholeNumber } from "../command.ts";
import { CommandError, failureOf, UsageError } from "../failure.ts";
import { startProgress } from "../progress.ts";
import { withDatabase, withServers } from "../servers.ts";
import { details, oneLine, table } from "../table.ts";

interface ListOptions {
  readonly sale?: string;
  readonly state?: DeadLetterState | "all";
  readonly limit?: number;
}

interface DecideOptions {
  readonly all?: boolean;
  readonly sale?: string;
  readonly reason?: string;
}

const LIMIT_DEFAULT = 50;
/** Letters that one command decides with --all. */
const ALL_MAX = 10_000;

export function deadCommands(dead: Command): void {
  addCommand<ListOptions>(dead, {
    usage: "list",
    summary: "dead letters, oldest first; exit code 1 when any is open",
    details:
      "An entry of a log, or one order of it, that the ledger did not take: its stock stays held until you decide. And " +
      "refunds that the gateway did not make: their money is owed until a replay succeeds.",
    examples: ["onrush dead list", "onrush dead list --state all --json"],
    options: [
      { flags: "--sale <id>", help: "only of this sale" },
      {
        flags: "--state <state>",
        help: "open (default), replayed, discarded or all",
        parse: oneOf(...DEAD_LETTER_STATES, "all"),
      },
      { flags: "--limit <n>", help: `how many, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) },
    ],
    run: ({ options, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const { sale: saleId, state = "open", limit = LIMIT_DEFAULT } = options;
        const letters = await listDeadLetters(pool, { saleId, state: state === "all" ? undefined : state, limit });
        await answer(letters, () =>
          letters.length === 0
            ? "There are no such dead letters."
            : table(["id", "log", "kind", "order", "state", "error"], letters.map(cells), {
                columns: terminal.columns,
                whole: ["log", "kind", "state"],
              }),
        );
        if (letters.some((letter) => letter.state === "open")) process.exitCode = 1;
      }),
  });
  addCommand(dead, {
    usage: "show <id>",
    summary: "one dead letter with its content",
    examples: ["onrush dead show 12", "onrush dead show 12 --json"],
    run: ({ args: [id = ""], answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const letter = await findDeadLetter(pool, readId(id));
        if (!letter) throw new CommandError(`There is no dead letter ${id}.`, "NOT_FOUND");
        await answer(letter, () => screen(letter, terminal.columns));
      }),
  });
  decideCommand(dead, {
    name: "replay",
    summary: "applies dead letters to the ledger, in the order of the log",
    details:
      "The order gets the place in the ledger that it would have had: its payment becomes due, or it is cancelled when it " +
      "does not fit any more. A refund goes again, under the same key. What still cannot be applied stays open, and the " +
      "exit code is 1.",
    work: replayDeadLetter,
  });
  decideCommand(dead, {
    name: "discard",
    summary: "gives up on dead letters, and puts what they hold back on sale",
    details:
      "An order that can be read is cancelled by the operator, so that its buyer is told; the hold of one that cannot is " +
      "released in Redis. A refund is money that is owed, and is not discarded. Wants a --reason.",
    work: discardDeadLetter,
    needsReason: true,
  });
}

interface Decision {
  readonly name: "replay" | "discard";
  readonly summary: string;
  readonly details: string;
  readonly needsReason?: boolean;
  work(deps: DeadLetterDependencies, id: number, by: Decider): Promise<Decided>;
}

function decideCommand(dead: Command, { name, summary, details: more, needsReason = false, work }: Decision): void {
  const reason = needsReason ? ' --reason "unreadable"' : "";
  addCommand<DecideOptions>(dead, {
    usage: `${name} [id...]`,
    summary,
    details: more,
    examples: [`onrush dead ${name} 12${reason}`, `onrush dead ${name} --all --sale summer${reason} --yes`],
    options: [
      { flags: "--all", help: "all that are open" },
      { flags: "--sale <id>", help: "with --all: only of this sale" },
      { flags: "--reason <text>", help: "why, for the audit trail", required: needsReason },
    ],
    changes: () => true,
    run: ({ args, options, answer, confirm, terminal }) => {
      const ids = args.map(readId);
      if (ids.length > 0 === (options.all === true)) throw new UsageError("Name dead letters, or give --all.");
      if (needsReason && !options.reason?.trim()) throw new UsageError("A discard says why: --reason.");
      return withServers(async (servers) => {
        const open = await listDeadLetters(servers.pool, { state: "open", saleId: options.sale, limit: ALL_MAX });
        const chosen = options.all ? open.map(({ id }) => id) : [...new Set(ids)].sort((a, b) => a - b);
        await confirm(`${name === "replay" ? "Replay" : "Discard"} ${chosen.length} dead letter(s)?`);
        const progress = startProgress(name === "replay" ? "Replaying" : "Discarding");
        const decided: Decided[] = [];
        const refused: { id: number; code: string; message: string }[] = [];
        for (const id of chosen) {
          progress.at(decided.length + refused.length, chosen.length);
          try {
            decided.push(await work(servers, id, { actor: servers.actor, reason: options.reason }));
          } catch (error) {
            const { code, message } = failureOf(error);
            if (code === "FAILED") throw error;
            refused.push({ id, code, message });
          }
        }
        progress.end();
        await report({ answer, terminal }, decided, refused);
      });
    },
  });
}

async function report(
  { answer, terminal }: Pick<Call, "answer" | "terminal">,
  decided: readonly Decided[],
  refused: readonly { id: number; code: string; message: string }[],
): Promise<void> {
  const [first] = refused;
  if (decided.length === 0 && refused.length === 1 && first) throw new CommandError(first.message, first.code);
  await answer({ decided, refused }, () => {
    const { colors } = terminal;
    const done = decided.map(({ id, state, orders, released }) => {
      const what = [
        ...orders.map((order) => `${order.id} is ${order.status}`),
        ...released.map((of) => `${of} released`),
      ];
      return `${id}  ${colors.green(state)}${what.length > 0 ? `  ${what.join(", ")}` : ""}`;
    });
    const not = refused.map(({ id, message }) => `${id}  ${colors.red("open")}  ${message}`);
    return [...done, ...not].join("\n") || "There are no open dead letters.";
  });
  if (refused.length > 0) process.exitCode = 1;
}

function readId(text: string): number {
  const id = Number(text);
  if (!/^\d{1,15}$/.test(text) || id < 1) throw new UsageError(`${text} is no dead letter's number.`);
  return id;
}

function cells({ id, saleId, partition, epoch, seq, kind, orderId, state, error }: DeadLetterRow): (string | number)[] {
  const number = epoch === null ? "" : ` ${epoch}-${seq}`;
  return [id, `${saleId}.${partition}${number}`, kind, orderId ?? "", state, error];
}

function screen(letter: DeadLetterRow, columns: number | undefined): string {
  const facts = details(
    [
      ["dead letter", letter.id],
      letter.refundId === null
        ? ["log", `${letter.saleId}.${letter.partition}, number ${letter.epoch}-${letter.seq}`]
        : ["refund", letter.refundId],
      ["kind", letter.kind],
      ["order", letter.orderId],
      ["state", letter.wanted ? `${letter.state}, ${letter.wanted} asked for` : letter.state],
      ["decided", letter.decidedAt && `${letter.decidedAt.toISOString()} by ${letter.decidedBy}`],
      ["since", letter.createdAt.toISOString()],
      ["error", letter.error],
      ["refusal", letter.refusal],
    ],
    { columns },
  );
  return `${facts}\n\n${oneLine(letter.payload)}`;
}

// `onrush audit`: the trail of what operators did.
import type { Command } from "commander";
import { AUDIT_ACTIONS, type AuditEntry, listAudit } from "../../engine/ledger/audit.ts";
import { addCommand, oneOf, wholeNumber } from "../command.ts";
import { withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";

interface ListOptions {
  readonly subject?: string;
  readonly actor?: string;
  readonly action?: string;
  readonly limit?: number;
}

const LIMIT_DEFAULT = 20;

export function auditCommands(audit: Command): void {
  addCommand<ListOptions>(audit, {
    usage: "list",
    summary: "what operators did, newest first",
    details: "A subject is kind:id, such as sale:summer or order:<id>. --json tells what was before and after.",
    examples: ["onrush audit list", "onrush audit list --subject sale:summer", "onrush audit list --json --limit 100"],
    options: [
      { flags: "--subject <subject>", help: "only what was done to this" },
      { flags: "--actor <actor>", help: "only what this one did" },
      { flags: "--action <action>", help: "only this action", parse: oneOf(...AUDIT_ACTIONS) },
      { flags: "--limit <n>", help: `how many, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) },
    ],
    run: ({ options, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const { subject, actor, action, limit = LIMIT_DEFAULT } = options;
        const entries = await listAudit(pool, { subject, actor, action, limit });
        await answer(entries, () =>
          entries.length === 0
            ? "Nothing was recorded."
            : terminal.columns === undefined
              ? table(["when", "who", "what", "to", "why"], entries.map(cells))
              : screen(entries, terminal.columns),
        );
      }),
  });
}

function cells({ at, actor, action, subject, reason }: AuditEntry): string[] {
  return [at.toISOString().slice(0, 19).replace("T", " "), actor, action, subject, reason ?? ""];
}

const INDENT = " ".repeat(4);

// On a screen, who and why stand below, so that what it was done to can be copied whole.
function screen(entries: readonly AuditEntry[], columns: number): string {
  const rows = entries.map((entry) => [
    entry.at.toISOString().slice(5, 16).replace("T", " "),
    entry.action,
    entry.subject,
  ]);
  const [heading = "", ...lines] = table(["when", "what", "to"], rows).split("\n");
  const below = entries.map(({ actor, reason }) =>
    details([[INDENT, reason === null ? `by ${actor}` : `by ${actor}: ${reason}`]], { columns }),
  );
  return [heading, ...lines.flatMap((line, i) => [line, below[i] ?? ""])].join("\n");
}

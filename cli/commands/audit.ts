// `onrush audit`: the trail of what operators did.
import type { Command } from "commander";
import { AUDIT_ACTIONS, type AuditEntry, listAudit } from "../../engine/ledger/audit.ts";
import { addCommand, oneOf, wholeNumber } from "../command.ts";
import { withDatabase } from "../servers.ts";
import { table } from "../table.ts";

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
            : table(["when", "who", "what", "to", "why"], entries.map(cells), { columns: terminal.columns }),
        );
      }),
  });
}

function cells({ at, actor, action, subject, reason }: AuditEntry): string[] {
  return [at.toISOString().slice(0, 19).replace("T", " "), actor, action, subject, reason ?? ""];
}

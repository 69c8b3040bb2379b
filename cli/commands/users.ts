// `onrush users`: accounts and what they may do.
import type { Command } from "commander";
import { eraseMember } from "../../engine/members/erasure.ts";
import { type Account, grantRole, listAccounts, revokeRole } from "../../engine/members/grants.ts";
import { ROLES, type Role } from "../../engine/members/roles.ts";
import { addCommand, oneOf, wholeNumber } from "../command.ts";
import { UsageError } from "../failure.ts";
import { withDatabase } from "../servers.ts";
import { table } from "../table.ts";

interface ListOptions {
  readonly role?: Role;
  readonly query?: string;
  readonly limit?: number;
}

const LIMIT_DEFAULT = 50;

export function userCommands(users: Command): void {
  addCommand<ListOptions>(users, {
    usage: "list",
    summary: "accounts by e-mail",
    examples: ["onrush users list --role admin", "onrush users list --query kim --json"],
    options: [
      { flags: "--role <role>", help: `only those that are ${ROLES.join(", ")}`, parse: oneOf(...ROLES) },
      { flags: "--query <text>", help: "part of the e-mail or the name" },
      { flags: "--limit <n>", help: `how many, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) },
    ],
    run: ({ options, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const { role, query, limit = LIMIT_DEFAULT } = options;
        const accounts = await listAccounts(pool, { role, query, limit });
        await answer(accounts, () =>
          accounts.length === 0 ? "There is no such account." : screen(accounts, terminal.columns),
        );
      }),
  });
  const change = (
    name: "grant" | "revoke",
    summary: string,
    example: string,
    work: typeof grantRole,
    preposition: string,
  ) =>
    addCommand<{ reason?: string }>(users, {
      usage: `${name} <account> <role>`,
      summary,
      details:
        "The account is named by its e-mail or its id. Tokens say what an account may do until they are renewed.",
      examples: [example, `${example} --yes --reason "new on the team"`],
      options: [{ flags: "--reason <text>", help: "why, for the audit trail" }],
      changes: () => true,
      run: ({ args: [who = "", given = ""], options, answer, confirm, terminal }) => {
        const role = ROLES.find((known) => known === given);
        if (!role) throw new UsageError(`${given} is no role: ${ROLES.join(", ")} are.`);
        return withDatabase(async ({ pool, actor }) => {
          await confirm(`${name === "grant" ? "Give" : "Take"} the role ${role} ${preposition} ${who}?`);
          const account = await work(pool, who, role, { actor, reason: options.reason });
          await answer(account, () => screen([account], terminal.columns));
        });
      },
    });
  change("grant", "gives a role", "onrush users grant kim@example.com support", grantRole, "to");
  change(
    "revoke",
    "takes a role, and signs the account out",
    "onrush users revoke kim@example.com admin",
    revokeRole,
    "from",
  );
  addCommand<{ reason?: string }>(users, {
    usage: "erase <account>",
    summary: "erases a member's personal data, for good",
    details:
      "Name, e-mail, password and the addresses of orders go, and every session ends. The orders stay in the books under " +
      "an id that leads to nobody. Not while an order is under way, and never the last administrator. The account is " +
      "named by its e-mail or its id.",
    examples: [
      "onrush users erase kim@example.com",
      'onrush users erase kim@example.com --yes --reason "asked by letter"',
    ],
    options: [{ flags: "--reason <text>", help: "why, for the audit trail: it stays, so no personal data" }],
    changes: () => true,
    run: ({ args: [who = ""], options, answer, confirm }) =>
      withDatabase(async ({ pool, actor }) => {
        await confirm(`Erase ${who} for good?`);
        const { id } = await eraseMember(pool, who, { actor, reason: options.reason });
        await answer({ id, erased: true }, () => `${id} is erased.`);
      }),
  });
}

function screen(accounts: readonly Account[], columns: number | undefined): string {
  const cells = accounts.map(({ id, email, name, roles }) => [id, email, name, roles.join(", ")]);
  return table(["id", "e-mail", "name", "roles"], cells, { columns, whole: ["id"] });
}

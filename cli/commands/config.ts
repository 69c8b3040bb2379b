// `onrush config`: what may be changed while the shop runs, from the terminal or from a file kept under version control.
import { readFile, rename, writeFile } from "node:fs/promises";
import type { Command } from "commander";
import type pg from "pg";
import {
  checkDocument,
  readConfiguration,
  replaceConfiguration,
  rollbackConfiguration,
  type StoredConfiguration,
} from "../../engine/configuration/operations.ts";
import {
  differences,
  effectiveSettings,
  inOrder,
  mergePatch,
  SECTIONS,
  SETTING_NAMES,
  SETTING_VARIABLES,
  type SettingDifference,
  type SettingsEnvironment,
  type StoredSettings,
  settingOf,
  settingOrigins,
  settingsEnvironment,
  settingsPatch,
} from "../../engine/configuration/settings.ts";
import { findVersion, listVersions } from "../../engine/configuration/versions.ts";
import { OnrushError } from "../../engine/errors.ts";
import { addCommand, type Call, wholeNumber } from "../command.ts";
import { CommandError, UsageError } from "../failure.ts";
import { withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";

interface ChangeOptions {
  readonly reason?: string;
  readonly dryRun?: boolean;
}

const REASON = { flags: "--reason <text>", help: "why, for the audit trail" };
const DRY_RUN = { flags: "--dry-run", help: "only check, and say what would change" };
const LIMIT_DEFAULT = 20;
const VERSION_MAX = 2_147_483_647;
const FILE_BYTES_MAX = 1_048_576;

export function configCommands(config: Command): void {
  addCommand(config, {
    usage: "show [key]",
    summary: "what holds, and where each value is from",
    details:
      "stored: set by somebody, and the same in every process. environment and default: by the environment of this command, " +
      "which is that of the roles where it was made the same.",
    examples: ["onrush config show", "onrush config show pauses", "onrush config show --json"],
    run: ({ args: [key], answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const names = namesOf(key);
        const current = await readConfiguration(pool);
        const environment = ownEnvironment();
        await answer(represent(current, environment), () => {
          const { settings, origins } = represent(current, environment);
          const rows = names.map((name) => [name, shown(settingOf(settings, name)), String(settingOf(origins, name))]);
          const { columns } = terminal;
          return `${heading(current, columns)}\n\n${table(["setting", "value", "from"], rows, { columns, whole: ["setting"] })}`;
        });
      }),
  });
  addCommand<ChangeOptions>(config, {
    usage: "set <key> <value>",
    summary: "changes one setting, in every process within a second",
    examples: [
      "onrush config set rateLimit.ordersPerSecond 500",
      'onrush config set pauses.orders true --yes --reason "the warehouse burns"',
    ],
    options: [DRY_RUN, REASON],
    changes: ({ dryRun }) => !dryRun,
    run: (call) => {
      const [key = "", value = ""] = call.args;
      const [section = "", member = ""] = nameOf(key).split(".");
      return change(call, (stored) => patched(stored, { [section]: { [member]: read(value) } }));
    },
  });
  addCommand<ChangeOptions>(config, {
    usage: "unset <key>",
    summary: "takes a setting, or a section, back to its default",
    examples: ["onrush config unset rateLimit.ordersPerSecond", "onrush config unset pauses --yes"],
    options: [DRY_RUN, REASON],
    changes: ({ dryRun }) => !dryRun,
    run: (call) => {
      const [key = ""] = call.args;
      const [section = "", member] = key in SECTIONS ? [key] : nameOf(key).split(".");
      return change(call, (stored) => patched(stored, { [section]: member === undefined ? null : { [member]: null } }));
    },
  });
  addCommand<{ limit?: number }>(config, {
    usage: "history",
    summary: "who changed what, newest first",
    examples: ["onrush config history", "onrush config history --limit 100 --json"],
    options: [{ flags: "--limit <n>", help: `how many, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) }],
    run: ({ options: { limit = LIMIT_DEFAULT }, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const found = await listVersions(pool, { limit: limit + 1 });
        const history = found.slice(0, limit).map((version, i) => {
          const changes = differences(found[i + 1]?.settings ?? {}, version.settings).map(plain);
          return { ...version, changes };
        });
        await answer(history, () => {
          if (history.length === 0) return "Nothing was ever changed.";
          const rows = history.map(({ version, at, actor, changes, reason }) => [
            version,
            at.toISOString().slice(0, 19).replace("T", " "),
            actor,
            changes
              .map(({ name, after }) => `${name} ${after === null ? "back to its default" : shown(after)}`)
              .join(", "),
            reason ?? "",
          ]);
          return table(["version", "when", "who", "what", "why"], rows, { columns: terminal.columns });
        });
      }),
  });
  addCommand(config, {
    usage: "export [file]",
    summary: "what is stored, as a file for version control: always in the same order",
    details: "Only what was set is in it; the rest has its default. `config apply` takes it back.",
    examples: ["onrush config export onrush.json", "onrush config export | git diff --no-index onrush.json -"],
    run: ({ args: [file], answer }) =>
      withDatabase(async ({ pool }) => {
        const { version, settings } = await readConfiguration(pool);
        const text = JSON.stringify(inOrder(settings), null, 2);
        if (file === undefined) return await answer(inOrder(settings), () => text);
        await write(file, `${text}\n`);
        await answer({ file, version }, () => `Version ${version} is in ${file}.`);
      }),
  });
  addCommand<ChangeOptions>(config, {
    usage: "apply <file>",
    summary: "makes what is stored what the file says; shows what differs first",
    details:
      "The file is JSON as `config export` writes it, and the whole of what is stored: what is not in it goes back to its default. " +
      "All of it is checked before anything changes, and a change that somebody else makes meanwhile is not overwritten.",
    examples: ["onrush config apply onrush.json --dry-run", "onrush config apply onrush.json --yes"],
    options: [DRY_RUN, REASON],
    changes: ({ dryRun }) => !dryRun,
    run: async (call) => {
      const document = await readDocument(call.args[0] ?? "");
      await change(call, () => document);
    },
  });
  addCommand<ChangeOptions>(config, {
    usage: "rollback <version>",
    summary: "stores once more what a version held; 0: nothing, so that all have their defaults",
    examples: ["onrush config rollback 12", "onrush config rollback 0 --yes"],
    options: [DRY_RUN, REASON],
    changes: ({ dryRun }) => !dryRun,
    run: (call) => {
      const version = Number(call.args[0]);
      if (!/^\d{1,10}$/.test(call.args[0] ?? "") || version > VERSION_MAX) {
        throw new UsageError(`${call.args[0]} is no version.`);
      }
      const held = async (pool: pg.Pool) => {
        const found = version === 0 ? { settings: {} } : await findVersion(pool, version);
        if (!found) throw new OnrushError("NOT_FOUND", `There is no version ${version} of the configuration.`);
        return found.settings;
      };
      return change(
        call,
        (_, pool) => held(pool),
        (pool, _, by) => rollbackConfiguration(pool, version, by),
      );
    },
  });
}

type Store = (
  pool: pg.Pool,
  document: StoredSettings,
  by: { readonly actor: string; readonly reason: string | undefined; readonly expected: number },
) => Promise<StoredConfiguration>;

/** Says what would differ, asks, and stores it, unless somebody else was faster. */
async function change(
  { options: { dryRun = false, reason, json, yes }, answer, confirm, terminal }: Call<ChangeOptions>,
  next: (stored: StoredSettings, pool: pg.Pool) => unknown,
  store: Store = replaceConfiguration,
): Promise<void> {
  await withDatabase(async ({ pool, actor }) => {
    const current = await readConfiguration(pool);
    const document = checkDocument(await next(current.settings, pool));
    const changes = differences(current.settings, document);
    const environment = ownEnvironment();
    const plan = () => changes.map((of) => lineOf(of, environment)).join("\n");
    const apply = changes.length > 0 && !dryRun;
    let { version } = current;
    if (apply) {
      // A program reads errors from stderr, and the changes from the answer.
      if (!json || !yes) terminal.note(plan());
      await confirm(`Change ${changes.length} setting(s)?`);
      ({ version } = await store(pool, document, { actor, reason, expected: version }));
    }
    await answer({ applied: apply, version, changes: changes.map(plain) }, () => {
      if (changes.length === 0) return `Nothing differs from version ${version}.`;
      return apply ? `Version ${version} holds.` : `${plan()}\nNothing was changed: this was a dry run.`;
    });
  });
}

function patched(stored: StoredSettings, patch: object): unknown {
  const known = settingsPatch.safeParse(patch);
  // A value that is not valid goes on as it is, to be refused by its name with the document.
  return known.success ? mergePatch(stored, known.data) : { ...stored, ...patch };
}

/** By the variables that settings have, and no others: a command need not be told what the roles must. */
function ownEnvironment(): SettingsEnvironment {
  const given = Object.fromEntries(SETTING_VARIABLES.map((name) => [name, process.env[name]]));
  return settingsEnvironment({ ...given, ROLES: "api" });
}

function represent(current: StoredConfiguration, environment: SettingsEnvironment) {
  return {
    version: current.version,
    changedAt: current.at ?? null,
    changedBy: current.actor ?? null,
    reason: current.reason ?? null,
    settings: effectiveSettings(current.settings, environment),
    stored: current.settings,
    origins: settingOrigins(current.settings, environment),
  };
}

function heading({ version, at, actor, reason }: StoredConfiguration, columns: number | undefined): string {
  const when = at && `${at.toISOString().slice(0, 19).replace("T", " ")} by ${actor}`;
  return details(
    [
      ["version", version],
      ["changed", when],
      ["why", reason],
    ],
    { columns },
  );
}

function namesOf(key: string | undefined): readonly string[] {
  const names = key === undefined ? SETTING_NAMES : SETTING_NAMES.filter((name) => `${name}.`.startsWith(`${key}.`));
  if (names.length === 0) throw unknownName(key ?? "");
  return names;
}

function nameOf(key: string): string {
  if (!SETTING_NAMES.includes(key)) throw unknownName(key);
  return key;
}

function unknownName(key: string): UsageError {
  return new UsageError(`There is no setting ${key}. There are ${SETTING_NAMES.join(", ")}.`);
}

/** JSON, where it is any; else the text itself, so that words need no quotes. */
function read(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function plain({ name, before, after }: SettingDifference) {
  return { name, before: before ?? null, after: after ?? null };
}

function lineOf({ name, before, after }: SettingDifference, { settings }: SettingsEnvironment): string {
  const say = (value: unknown) =>
    value === undefined ? `${shown(settingOf(settings, name))} (default)` : shown(value);
  return `${name}: ${say(before)} -> ${say(after)}`;
}

async function readDocument(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new CommandError(`Cannot read ${file}: ${error.message}`, "UNREADABLE");
  });
  if (text.length > FILE_BYTES_MAX) throw new UsageError(`${file} is larger than any configuration.`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** Whole or not at all. */
async function write(file: string, text: string): Promise<void> {
  const written = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(written, text);
    await rename(written, file);
  } catch (error) {
    throw new CommandError(`Cannot write ${file}: ${error instanceof Error ? error.message : error}`, "UNWRITABLE");
  }
}

// The runtime configuration: what holds, where each value is from, who changed it, and changing it.
import { z } from "@hono/zod-openapi";
import {
  patchConfiguration,
  readConfiguration,
  rollbackConfiguration,
  type StoredConfiguration,
} from "../../engine/configuration/operations.ts";
import {
  allSettings,
  effectiveSettings,
  type SettingsEnvironment,
  settingOrigins,
  settingsEnvironment,
  settingsPatch,
  storedSettings,
} from "../../engine/configuration/settings.ts";
import { listVersions } from "../../engine/configuration/versions.ts";
import { REASON_LENGTH_MAX } from "../../engine/ledger/audit.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, text } from "../http/fields.ts";
import { etag, expectedVersion, ifMatchHeader } from "../http/if-match.ts";
import { ADMIN_TAG } from "./audit-routes.ts";

const PATH = "/api/v1/admin/config";
const VERSION_MAX = 2_147_483_647;

const stored = storedSettings.describe("Only what was set, by whomever; the rest has its default");
const change = {
  version: z.int(),
  settings: stored,
  at: z.string(),
  actor: z.string().openapi({ description: "A member's id, or `cli:` and an account of the machine" }),
  reason: z.string().nullable(),
};
const configurationSchema = z
  .object({
    version: z.int().openapi({ description: "0: nothing was ever stored" }),
    running: z.int().openapi({ description: "The version by which the process that answers runs" }),
    changedAt: z.string().nullable(),
    changedBy: z.string().nullable(),
    reason: z.string().nullable(),
    settings: allSettings.describe("What holds with this stored"),
    stored,
    origins: z
      .record(z.string(), z.record(z.string(), z.enum(["default", "environment", "stored"])))
      .openapi({ description: "Where each value is from, by its section and name" }),
  })
  .openapi("Configuration");
const versionPage = z
  .object({ items: z.array(z.object(change).openapi("ConfigurationVersion")), nextCursor: z.string().optional() })
  .openapi("ConfigurationVersionPage");
const rollback = z
  .object({
    version: z.int().min(0).max(VERSION_MAX).openapi({ description: "0: back to the defaults" }),
    reason: text(1, REASON_LENGTH_MAX).optional(),
  })
  .openapi("ConfigurationRollback");
const reasonQuery = z.object({
  reason: text(1, REASON_LENGTH_MAX).optional().openapi({ description: "Why, for the audit trail" }),
});
const position = z.int().min(1).max(VERSION_MAX);

export function configurationRoutes(edge: Edge, { pool, configuration }: ApiDependencies): void {
  const environment = configuration?.environment ?? settingsEnvironment({});
  const answer = (of: StoredConfiguration) =>
    jsonAnswer(represent(of, environment, configuration?.current.version ?? 0), 200, etag(of.version));
  const answers = { 200: { description: "The configuration; its version is the `ETag`", schema: configurationSchema } };

  endpoint(
    edge,
    {
      method: "get",
      path: PATH,
      summary: "Read the configuration",
      description:
        "What may be changed while the shop runs. A value is stored, from the environment of the process that answers, or the default.",
      tag: ADMIN_TAG,
      access: "admin",
      answers,
    },
    async () => answer(await readConfiguration(pool)),
  );

  endpoint(
    edge,
    {
      method: "patch",
      path: PATH,
      summary: "Change the configuration",
      description:
        "A JSON merge patch (RFC 7396) of what is stored: null takes a setting, or a section, back to its default. It is checked " +
        "as a whole and refused as a whole; every process follows within a second. What makes no difference makes no version.",
      tag: ADMIN_TAG,
      access: "admin",
      headers: ifMatchHeader,
      query: reasonQuery,
      body: settingsPatch,
      answers,
      refusals: ["INVALID_STATE"],
    },
    async ({ c, caller, query: { reason }, body }) => {
      const expected = expectedVersion(c.req.header("if-match"));
      return answer(await patchConfiguration(pool, body, { actor: caller.customerId, reason, expected }));
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: `${PATH}/versions`,
      summary: "List the configuration's versions",
      description: "Newest first, each with all that was stored then. Nothing is ever removed.",
      tag: ADMIN_TAG,
      access: "admin",
      query: page,
      answers: { 200: { description: "A page", schema: versionPage } },
    },
    async ({ query: { limit, cursor } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const found = await listVersions(pool, { limit: limit + 1, before });
      const last = found.length > limit ? found[limit - 1] : undefined;
      return jsonAnswer({ items: found.slice(0, limit), ...(last && { nextCursor: encodeCursor(last.version) }) });
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: `${PATH}/rollback`,
      summary: "Go back to a version of the configuration",
      description: "What it held is stored once more, as a new version.",
      tag: ADMIN_TAG,
      access: "admin",
      headers: ifMatchHeader,
      body: rollback,
      answers,
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller, body: { version, reason } }) => {
      const expected = expectedVersion(c.req.header("if-match"));
      return answer(await rollbackConfiguration(pool, version, { actor: caller.customerId, reason, expected }));
    },
  );
}

function represent(of: StoredConfiguration, environment: SettingsEnvironment, running: number) {
  return {
    version: of.version,
    running,
    changedAt: of.at ?? null,
    changedBy: of.actor ?? null,
    reason: of.reason ?? null,
    settings: effectiveSettings(of.settings, environment),
    stored: of.settings,
    origins: settingOrigins(of.settings, environment),
  };
}

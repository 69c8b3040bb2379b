// `onrush webhook`: where events of orders are sent, and what became of them.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type pg from "pg";
import { loadConfig } from "../../engine/config.ts";
import {
  DELIVERY_STATES,
  type DeliveryState,
  findDelivery,
  listDeliveries,
  type WebhookDelivery,
} from "../../engine/webhooks/deliveries.ts";
import { listEndpoints, type WebhookEndpoint } from "../../engine/webhooks/endpoints.ts";
import { WEBHOOK_EVENTS, type WebhookEvent } from "../../engine/webhooks/event-types.ts";
import {
  changeWebhookEndpoint,
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  type EndpointChange,
  pingWebhookEndpoint,
  readWebhookEndpoint,
  replayWebhooks,
  rotateWebhookSecret,
  type WithSecret,
} from "../../engine/webhooks/operations.ts";
import { addCommand, oneOf, wholeNumber } from "../command.ts";
import { UsageError } from "../failure.ts";
import { withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";

interface Reasoned {
  readonly reason?: string;
}
interface UpdateOptions extends Reasoned {
  readonly url?: string;
  readonly event?: readonly WebhookEvent[];
  readonly enable?: boolean;
  readonly disable?: boolean;
}

const LIMIT_DEFAULT = 50;
/** How long `test` waits to see what became of its ping. */
const PING_WAIT_MS = 20_000;
const PING_LOOK_MS = 200;
const REASON = { flags: "--reason <text>", help: "why, for the audit trail" };
const EVENT = {
  flags: "--event <type>",
  help: `one of ${WEBHOOK_EVENTS.join(", ")}; may be given more than once`,
  parse: oneOf(...WEBHOOK_EVENTS),
  many: true,
};

export function webhookCommands(webhook: Command): void {
  addCommand(webhook, {
    usage: "list",
    summary: "the endpoints; exit code 1 when one fails or was disabled for failing",
    examples: ["onrush webhook list", "onrush webhook list --json"],
    run: ({ answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        const endpoints = await listEndpoints(pool);
        await answer(endpoints, () => {
          if (endpoints.length === 0) return "There are no webhook endpoints.";
          const rows = endpoints.map((of) => [
            of.id,
            of.url,
            stateOf(of),
            of.events.join(" ").replaceAll("order.", ""),
          ]);
          return table(["id", "url", "state", "events"], rows, { columns: terminal.columns, whole: ["id", "state"] });
        });
        if (endpoints.some((of) => of.disabledBy === "failures" || of.failingSince !== null)) process.exitCode = 1;
      }),
  });
  addCommand<Reasoned & { event?: readonly WebhookEvent[] }>(webhook, {
    usage: "create <url>",
    summary: "has events sent to a URL from now on; shows the secret, this once",
    details:
      "Only https to public addresses, unless WEBHOOK_ALLOW_PRIVATE=true, here and for the worker. All events unless " +
      "--event says which.",
    examples: [
      "onrush webhook create https://shop.example/hooks",
      "onrush webhook create https://shop.example/hooks --event order.refunded --yes",
    ],
    options: [EVENT, REASON],
    changes: () => true,
    run: ({ args: [url = ""], options: { event: events, reason }, answer, confirm, terminal }) =>
      withDatabase(async ({ pool, actor }) => {
        await confirm(`Send events to ${url}?`);
        const made = await createWebhookEndpoint(
          pool,
          { url, events },
          { actor, reason, allowPrivate: mayBePrivate() },
        );
        await answer(made, () => screen(made, terminal.columns));
      }),
  });
  addCommand<UpdateOptions>(webhook, {
    usage: "update <endpoint>",
    summary: "changes URL or events, enables or disables",
    details: "What commits while an endpoint is disabled is not sent to it, then or later.",
    examples: [
      "onrush webhook update <endpoint> --enable --yes",
      "onrush webhook update <endpoint> --url https://shop.example/new",
    ],
    options: [
      { flags: "--url <url>", help: "where to" },
      EVENT,
      { flags: "--enable", help: "send again" },
      { flags: "--disable", help: "send nothing" },
      REASON,
    ],
    changes: () => true,
    run: ({ args: [id = ""], options, answer, confirm, terminal }) => {
      const { url, event: events, enable, disable, reason } = options;
      if (enable && disable) throw new UsageError("Either --enable or --disable.");
      const enabled = enable ? true : disable ? false : undefined;
      const change: EndpointChange = { url, events, enabled };
      if (Object.values(change).every((value) => value === undefined)) throw new UsageError("Say what to change.");
      return withDatabase(async ({ pool, actor }) => {
        await confirm(`Change ${id}?`);
        const by = { actor, reason, allowPrivate: mayBePrivate() };
        const changed = await changeWebhookEndpoint(pool, id, change, by);
        await answer(changed, () => screen(changed, terminal.columns));
      });
    },
  });
  addCommand<Reasoned>(webhook, {
    usage: "delete <endpoint>",
    summary: "sends nothing there any more, not even what is due",
    examples: ["onrush webhook delete <endpoint>", 'onrush webhook delete <endpoint> --yes --reason "moved"'],
    options: [REASON],
    changes: () => true,
    run: ({ args: [id = ""], options: { reason }, answer, confirm }) =>
      withDatabase(async ({ pool, actor }) => {
        const { url } = await readWebhookEndpoint(pool, id);
        await confirm(`Send nothing to ${url} any more?`);
        await deleteWebhookEndpoint(pool, id, { actor, reason });
        await answer({ id, deleted: true }, () => `${id} is deleted.`);
      }),
  });
  addCommand<Reasoned>(webhook, {
    usage: "rotate <endpoint>",
    summary: "makes a new secret and shows it, this once; the old one signs beside it for a day",
    examples: ["onrush webhook rotate <endpoint>", "onrush webhook rotate <endpoint> --yes --json"],
    options: [REASON],
    changes: () => true,
    run: ({ args: [id = ""], options: { reason }, answer, confirm, terminal }) =>
      withDatabase(async ({ pool, actor }) => {
        await confirm(`Replace the secret of ${id}?`);
        const rotated = await rotateWebhookSecret(pool, id, { actor, reason });
        await answer(rotated, () => screen(rotated, terminal.columns));
      }),
  });
  addCommand(webhook, {
    usage: "test <endpoint>",
    summary: "sends a ping and says what became of it; exit code 1 when it was not taken",
    details: "A worker sends it: where none runs it waits.",
    examples: ["onrush webhook test <endpoint>", "onrush webhook test <endpoint> --json"],
    run: ({ args: [id = ""], answer, terminal }) =>
      withDatabase(async ({ pool, actor }) => {
        const ping = await untilTried(pool, await pingWebhookEndpoint(pool, id, { actor }));
        await answer(ping, () => deliveryTable([ping], terminal.columns));
        if (ping.state !== "delivered") process.exitCode = 1;
      }),
  });
  addCommand<{ state?: DeliveryState; limit?: number }>(webhook, {
    usage: "deliveries <endpoint>",
    summary: "what was sent and what is due, newest first; exit code 1 when any of it is dead",
    examples: ["onrush webhook deliveries <endpoint>", "onrush webhook deliveries <endpoint> --state dead --json"],
    options: [
      { flags: "--state <state>", help: `only ${DELIVERY_STATES.join(", ")}`, parse: oneOf(...DELIVERY_STATES) },
      { flags: "--limit <n>", help: `how many, 1 to 1000 (${LIMIT_DEFAULT})`, parse: wholeNumber(1, 1_000) },
    ],
    run: ({ args: [id = ""], options: { state, limit = LIMIT_DEFAULT }, answer, terminal }) =>
      withDatabase(async ({ pool }) => {
        await readWebhookEndpoint(pool, id);
        const found = await listDeliveries(pool, id, { state, limit });
        await answer(found, () =>
          found.length === 0 ? "There are no such deliveries." : deliveryTable(found, terminal.columns),
        );
        if (found.some((delivery) => delivery.state === "dead")) process.exitCode = 1;
      }),
  });
  addCommand<Reasoned & { all?: boolean }>(webhook, {
    usage: "replay <endpoint> [delivery...]",
    summary: "makes dead deliveries go again, for another day",
    examples: ["onrush webhook replay <endpoint> 12 13", "onrush webhook replay <endpoint> --all --yes"],
    options: [{ flags: "--all", help: "the oldest 10,000 that are dead" }, REASON],
    changes: () => true,
    run: ({ args: [id = "", ...named], options: { all, reason }, answer, confirm }) => {
      if (named.length > 0 === (all === true)) throw new UsageError("Name the deliveries, or give --all.");
      const deliveries = all ? undefined : named.map(readNumber);
      return withDatabase(async ({ pool, actor }) => {
        await confirm(`Send ${all ? "all dead deliveries" : `${named.length} delivery(s)`} of ${id} again?`);
        const replayed = await replayWebhooks(pool, id, deliveries, { actor, reason });
        await answer({ replayed }, () => `${replayed.length} delivery(s) go again.`);
        if (deliveries && replayed.length < new Set(deliveries).size) process.exitCode = 1;
      });
    },
  });
}

/** What the environment of the command says: the same as of the roles, where it names the same servers. */
function mayBePrivate(): boolean {
  return loadConfig({ WEBHOOK_ALLOW_PRIVATE: process.env["WEBHOOK_ALLOW_PRIVATE"] }).webhookAllowPrivate;
}

async function untilTried(pool: pg.Pool, ping: WebhookDelivery): Promise<WebhookDelivery> {
  const until = performance.now() + PING_WAIT_MS;
  let now = ping;
  while (now.state === "pending" && now.lastError === null && performance.now() < until) {
    await sleep(PING_LOOK_MS);
    now = (await findDelivery(pool, ping.id)) ?? now;
  }
  return now;
}

function readNumber(text: string): number {
  const number = Number(text);
  if (!/^\d{1,15}$/.test(text) || number < 1) throw new UsageError(`${text} is no delivery's number.`);
  return number;
}

function stateOf({ enabled, disabledBy, failingSince }: WebhookEndpoint): string {
  if (!enabled) return disabledBy === "failures" ? "disabled: it failed for a day" : "disabled";
  return failingSince === null ? "enabled" : `failing since ${shortly(failingSince)}`;
}

function screen(endpoint: WebhookEndpoint | WithSecret, columns: number | undefined): string {
  const { id, url, events, previousSecretUntil } = endpoint;
  return details(
    [
      ["endpoint", id],
      ["url", url],
      ["events", events.join(", ")],
      ["state", stateOf(endpoint)],
      ["secret", "secret" in endpoint ? `${endpoint.secret}  (not shown again)` : undefined],
      ["old secret", previousSecretUntil && `signs until ${previousSecretUntil.toISOString()}`],
    ],
    { columns },
  );
}

function deliveryTable(deliveries: readonly WebhookDelivery[], columns: number | undefined): string {
  const rows = deliveries.map(({ id, type, orderId, state, tries, lastStatus, lastError, dueAt }) => [
    id,
    type,
    orderId ?? "",
    state,
    tries,
    String(lastStatus ?? lastError ?? ""),
    state === "pending" && dueAt ? shortly(dueAt) : "",
  ]);
  const headings = ["id", "type", "order", "state", "tries", "last", "next"];
  return table(headings, rows, { columns, whole: ["type", "state"] });
}

function shortly(at: Date): string {
  return at.toISOString().slice(5, 19).replace("T", " ");
}

// `onrush orders honour`: an order that was lost with Redis, by the answer that its client kept.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { type HonourDependencies, honourOrder, planHonour } from "../../engine/recovery/honour.ts";
import { type KeptAnswer, keptAnswer } from "../../engine/recovery/kept-answer.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { addCommand } from "../command.ts";
import { CommandError, UsageError } from "../failure.ts";
import { readText } from "../import/content.ts";
import { type Servers, withServers } from "../servers.ts";
import { table } from "../table.ts";

/** Adds `honour` to `orders`. */
export function honourCommand(orders: Command): void {
  addCommand<{ apply?: boolean }>(orders, {
    usage: "honour <file>",
    summary: "bring an order back that was lost with Redis, by the answer that its client kept; a plan unless --apply",
    details:
      "The file holds the JSON that answered POST /orders. Its receipt is checked with RECEIPT_SECRET (and " +
      "RECEIPT_SECRET_PREVIOUS), or with the secret of DATA_DIR: it proves buyer, products, quantities and prices. The order " +
      "comes to life under its own id, from the units that a rebuild held back for it, else from what is available. How it " +
      'is paid and where it goes were lost; the members "payment" and "address" say them anew, and without a payment the ' +
      "order waits for one until its new deadline. Exit code 1 when it cannot be honoured.",
    examples: ["onrush orders honour answer.json", "onrush orders honour answer.json --apply"],
    options: [{ flags: "--apply", help: "do it" }],
    async run({ args: [file = ""], options, answer, terminal }) {
      const kept = parseAnswer(await readText(file));
      await withServers(async (servers) => {
        const deps = dependenciesOf(servers);
        if (options.apply) {
          const done = await honourOrder(deps, kept, servers.actor);
          const how = done.honoured === "now" ? "is honoured" : "was honoured before";
          await answer(done, () => `The order ${done.orderId} ${how}.`);
          return;
        }
        const plan = await planHonour(deps, kept);
        if ("honoured" in plan) {
          await answer(plan, () => `The order ${plan.orderId} was honoured before.`);
          return;
        }
        if (plan.short) process.exitCode = 1;
        await answer(plan, () => {
          const rows = plan.items.map((item) => [item.productId, item.units, item.fromHoldback, item.fromAvailable]);
          const end = plan.short
            ? `It cannot be honoured: of ${plan.short.productId} only ${plan.short.available} are available.`
            : "Nothing was changed. --apply honours it.";
          const headings = ["product", "units", "held back", "available"];
          return `${table(headings, rows, { columns: terminal.columns })}\n${end}`;
        });
      });
    },
  });
}

function parseAnswer(text: string): KeptAnswer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new UsageError("The file is not JSON.");
  }
  const parsed = keptAnswer.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UsageError(`The file is not the answer to an order: ${issue?.path.join(".") || "it"}: ${issue?.message}.`);
}

function dependenciesOf({ pool, stock, redis }: Servers): HonourDependencies {
  return { pool, stock, nowMs: () => redisNowMs(redis), receiptSecrets: receiptSecrets(process.env) };
}

/** Those that the environment names, or that of the instance of DATA_DIR. */
function receiptSecrets(env: NodeJS.ProcessEnv): string[] {
  const named = [env["RECEIPT_SECRET"], env["RECEIPT_SECRET_PREVIOUS"]].filter((secret) => secret);
  if (env["RECEIPT_SECRET"]) return named as string[];
  const file = path.join(env["DATA_DIR"] || ".data", "secrets.json");
  try {
    const { receipt } = z.object({ receipt: z.string().min(1) }).parse(JSON.parse(readFileSync(file, "utf8")));
    return [receipt, ...(named as string[])];
  } catch {
    throw new CommandError(`Receipts cannot be checked: set RECEIPT_SECRET, or DATA_DIR (there is no ${file}).`);
  }
}

// The relay of the fault suite's webhooks does what it says that it does: what arrives, how often, and whether it is genuine.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isStale, newWebhookSecret, signWebhook, verifyWebhook } from "../../../engine/webhooks/signature.ts";
import { MISCHIEFS, type Mischief, WebhookRelay } from "../../support/faults/webhook-relay.ts";

const SECRET = newWebhookSecret();
const BODY = JSON.stringify({ type: "charge.succeeded", timestamp: "", data: { key: "order:1" } });

let target: Server;
let relay: WebhookRelay;
/** How the target judged what arrived. */
let arrived: string[] = [];
/** False: the target takes everything. */
let judges = true;
let known = new Set<string>();

beforeAll(async () => {
  target = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const of = (name: string) => request.headers[`webhook-${name}`]?.toString();
    const headers = { id: of("id"), timestamp: of("timestamp"), signature: of("signature") };
    const verdict = verifyWebhook([SECRET], headers, Buffer.concat(chunks));
    const isLate = verdict.type === "genuine" && isStale(verdict.timestampSeconds, Date.now() / 1_000);
    const word = isLate ? "stale" : verdict.type;
    arrived.push(word);
    const id = of("id") ?? "";
    const replayed = known.has(id);
    known.add(id);
    response.writeHead(judges && word !== "genuine" ? 401 : 200).end(JSON.stringify({ id, replayed }));
  }).listen(0, "127.0.0.1");
  await once(target, "listening");
  relay = await WebhookRelay.start(`http://127.0.0.1:${(target.address() as AddressInfo).port}/`, SECRET);
});

afterAll(async () => {
  await relay.stop();
  target.close();
});

beforeEach(() => {
  [arrived, judges, known] = [[], true, new Set()];
  relay.wrong.length = 0;
});

/** Sends one delivery on which this is done. @returns the status that the provider saw, or `undefined` */
async function send(mischief: Mischief, id = "evt_1"): Promise<number | undefined> {
  relay.misbehave(() => (MISCHIEFS.indexOf(mischief) + 0.01) / MISCHIEFS.length);
  const seconds = Math.floor(Date.now() / 1_000);
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(seconds),
    "webhook-signature": signWebhook(SECRET, id, seconds, BODY),
  };
  const answer = await fetch(relay.url, { method: "POST", headers, body: BODY }).catch(() => undefined);
  await relay.heal();
  return answer?.status;
}

describe("a delivery", () => {
  it.each<[mischief: Mischief, status: number | undefined, arrives: string[]]>([
    ["pass", 200, ["genuine"]],
    ["double", 200, ["genuine", "genuine"]],
    ["late", 200, ["genuine"]],
    ["lost", 200, []],
    ["cut", undefined, []],
    ["tampered", 200, ["forged", "genuine"]],
    ["forged", 200, ["forged", "genuine"]],
    ["stale", 200, ["genuine", "stale"]],
  ])("%s: the provider sees %s", async (mischief, status, arrives) => {
    const [before, refused] = [relay.counts[mischief], relay.refused];
    expect(await send(mischief)).toBe(status);
    expect(arrived.sort()).toEqual(arrives);
    expect(relay.counts[mischief]).toBe(before + 1);
    expect(relay.refused - refused).toBe(arrives.filter((word) => word !== "genuine").length);
    expect(relay.wrong).toEqual([]);
  });

  it("replayed: one that was taken before comes again", async () => {
    await send("pass");
    known.add("evt_1");
    await send("replayed", "evt_2");
    expect(arrived).toEqual(["genuine", "genuine", "genuine"]);
    expect(relay.wrong).toEqual([]);
  });
});

describe("it notices", () => {
  it.each(["tampered", "forged", "stale"] as const)("that a %s one was taken", async (mischief) => {
    judges = false;
    await send(mischief);
    expect(relay.wrong).toEqual([`a ${mischief} one: 200`]);
  });

  it("that one which was taken before was taken as new", async () => {
    await send("pass");
    known.clear();
    await send("replayed", "evt_2");
    expect(relay.wrong).toEqual(["an earlier one was taken as new"]);
  });
});

// One request of a run's client, and its retries: what was asked and what was learned goes into the history, in the order in
// which it happened.
import { setTimeout as sleep } from "node:timers/promises";
import { type HttpAnswer, member } from "../../demo/http.ts";
import type { Random } from "../../demo/random.ts";
import type { Asked, History, Learned, LogPosition } from "./history.ts";

const RETRY_FIRST_MS = 150;
const RETRY_MS_MAX = 1_000;
/** A refusal for the moment (503) is asked again so often: the sale may go on. */
const REFUSALS_MAX = 3;

/** Asks until there is an end, or patience is over. @returns what was learned when it happened */
export async function insist(
  history: History,
  asked: Asked,
  random: Random,
  givesUpAt: () => number,
  send: () => Promise<HttpAnswer | undefined>,
): Promise<Learned | undefined> {
  let refusals = 0;
  for (let attempt = 1; ; attempt += 1) {
    const end = await once(history, asked, attempt, send);
    if (end.type === "ok") return end.learned;
    if (end.type === "fail" && (!end.isPassing || ++refusals >= REFUSALS_MAX)) return undefined;
    if (performance.now() > givesUpAt()) return undefined;
    const backoffMs = Math.min(RETRY_FIRST_MS * 2 ** (attempt - 1), RETRY_MS_MAX);
    await sleep(backoffMs * (0.5 + random()));
  }
}

export interface End {
  readonly type: "ok" | "fail" | "info";
  readonly learned: Learned;
  /** A refusal that says "not now". */
  readonly isPassing: boolean;
}

export async function once(
  history: History,
  asked: Asked,
  attempt: number,
  send: () => Promise<HttpAnswer | undefined>,
): Promise<End> {
  history.invoke(asked, attempt);
  const answer = await send();
  const learned = learnedFrom(answer);
  const type = endOf(answer, learned.code);
  history.end(type, asked, attempt, learned);
  return { type, learned, isPassing: answer?.status === 503 };
}

function endOf(answer: HttpAnswer | undefined, code: string | undefined): "ok" | "fail" | "info" {
  if (!answer || answer.status === 0) return "info";
  if (answer.status < 300) {
    const named = member(answer.body, "orderTrackingId") ?? member(answer.body, "id");
    return named === undefined ? "info" : "ok";
  }
  if (answer.status < 500) return "fail";
  return code === "STOCK_UNAVAILABLE" || code === "OVERLOADED" ? "fail" : "info";
}

function learnedFrom(answer: HttpAnswer | undefined): Learned {
  if (!answer) return {};
  const { body, headers, status } = answer;
  const text = (name: string) => {
    const value = member(body, name);
    return typeof value === "string" ? value : undefined;
  };
  const [orderId, orderStatus, version] = [text("orderTrackingId"), text("status"), member(body, "version")];
  const code = status >= 300 ? text("code") : undefined;
  const position = positionIn(text("receipt"));
  return {
    status,
    ...(code !== undefined && { code }),
    ...(orderId !== undefined && { orderId }),
    ...(status < 300 && orderStatus !== undefined && { orderStatus }),
    ...(typeof version === "number" && { version }),
    ...(headers["idempotent-replayed"] === "true" && { replayed: true }),
    ...(position && { position }),
  };
}

/** `r2.<order>.<sale>.<partition>.<epoch>.<seq>...`; that it is genuine is another test's affair. */
function positionIn(receipt: string | undefined): LogPosition | undefined {
  const [, , , partition, epoch, seq] = (receipt ?? "").split(".").map(Number);
  if (partition === undefined || epoch === undefined || seq === undefined) return undefined;
  return { partition, epoch, seq };
}

// What processes tell each other about support threads over Redis: that one moved, who is there, who is writing. Hints and
// no more: they may be lost. What matters is in Postgres, and whoever watches compares versions with it.
import type { Redis } from "ioredis";
import { z } from "zod";
import { CHANNELS } from "../keys.ts";
import { SIDES } from "./thread.ts";

const id = z.string().max(36);
const notice = z.discriminatedUnion("type", [
  z.object({ type: z.literal("moved"), id, version: z.int() }),
  z.object({ type: z.literal("typing"), id, side: z.enum(SIDES) }),
  z.object({
    type: z.literal("present"),
    /** The process that speaks, by a name of its own. */
    process: z.string().max(64),
    /** Who watches there. */
    threads: z.array(z.object({ id, customer: z.boolean(), agent: z.boolean() })).max(1_000),
    /** Whether others are to say who watches these threads with them. */
    asks: z.boolean(),
  }),
]);
export type SupportNotice = z.output<typeof notice>;
export type Presence = Extract<SupportNotice, { type: "present" }>;

/** @throws what Redis throws; a caller logs it and goes on */
export async function publishSupport(redis: Redis, told: SupportNotice): Promise<void> {
  await redis.publish(CHANNELS.support, JSON.stringify(told));
}

/** Reads a message of {@link publishSupport}. What cannot be read is as if it had been lost. */
export function parseSupportNotice(message: string): SupportNotice | undefined {
  try {
    return notice.safeParse(JSON.parse(message)).data;
  } catch {
    return undefined;
  }
}

// The clock that deadlines and windows are judged by, for those who are not a script.
import type { Redis } from "ioredis";

/** Redis `TIME` in milliseconds since 1970. @throws what Redis throws; then nothing may be judged by any other clock */
export async function redisNowMs(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}

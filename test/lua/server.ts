// The server of a test file of scripts, and a connection on which the test itself may do everything.
import { Redis } from "ioredis";
import { startTestRedis, type TestRedis, type TestRedisOptions } from "../support/redis.ts";

export interface LuaServer extends Omit<TestRedis, "stop"> {
  readonly redis: Redis;
  stop(): Promise<void>;
}

export async function startLuaServer(options: TestRedisOptions = {}): Promise<LuaServer> {
  const server = await startTestRedis({ appendfsync: "no", ...options });
  const redis = new Redis(server.url);
  return {
    ...server,
    redis,
    stop: async () => {
      redis.disconnect();
      await server.stop();
    },
  };
}

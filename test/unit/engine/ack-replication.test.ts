// What is asked of the server for replicas, and how its answer is read, over a connection that the test plays: for the
// commands of servers that are newer than the one of the other tests.
import type { Redis } from "ioredis";
import { expect, it } from "vitest";
import { ReplicationWait } from "../../../engine/durability/replication.ts";

type Command = [name: string, ...args: unknown[]];

/** A server that answers WAIT with `wait` and WAITAOF with `waitaof`, or does not know it. */
function server(answers: { wait?: unknown; waitaof?: unknown }) {
  const batches: Command[][] = [];
  const redis = {
    call: async () => {
      if (answers.waitaof !== undefined) return [0, 0];
      throw Object.assign(new Error("ERR unknown command 'WAITAOF'"), { name: "ReplyError" });
    },
    pipeline: () => {
      const commands: Command[] = [];
      const batch = {
        call: (...command: Command) => {
          commands.push(command);
          return batch;
        },
        exec: async () => {
          batches.push(commands);
          return commands.map(([name]) => {
            if (name === "WAIT") return [null, answers.wait];
            return [null, name === "WAITAOF" ? answers.waitaof : "reply"];
          });
        },
      };
      return batch;
    },
  } as unknown as Redis;
  return { redis, waits: () => batches.map(([, wait]) => wait) };
}

const REQUIRED = { replicasRequired: 2, waitMs: 1_000 };

async function run(redis: Redis, level: "fast" | "fsync") {
  const wait = new ReplicationWait(REQUIRED, () => undefined);
  await wait.adapt(redis);
  return await wait.run(redis, "place", [], [], level);
}

it("waits for the replicas' disks where the server can and syncs every write itself", async () => {
  const { redis, waits } = server({ waitaof: [0, 2] });
  expect(await run(redis, "fsync")).toEqual({ reply: "reply", isReplicated: true });
  expect(waits()).toEqual([["WAITAOF", 0, 2, 1_000]]);
});

it.each([[[1, 1]], [[2, 0]], [null], ["?"]])("takes %j for a shortfall of two disks", async (waitaof) => {
  expect(await run(server({ waitaof }).redis, "fsync")).toMatchObject({ isReplicated: false });
});

it("waits for the replicas' memory where the server syncs once a second, or knows no more", async () => {
  const lax = server({ waitaof: [0, 2], wait: 2 });
  expect(await run(lax.redis, "fast")).toMatchObject({ isReplicated: true });
  const old = server({ wait: 2 });
  expect(await run(old.redis, "fsync")).toMatchObject({ isReplicated: true });
  expect([...lax.waits(), ...old.waits()]).toEqual([
    ["WAIT", 2, 1_000],
    ["WAIT", 2, 1_000],
  ]);
});

it("gives the whole time to one wait at a time, and to none soon after a shortfall", async () => {
  const { redis, waits } = server({ wait: 1 });
  const changes: boolean[] = [];
  const wait = new ReplicationWait(REQUIRED, (isShort) => changes.push(isShort));
  const place = () => wait.run(redis, "place", [], [], "fast");
  await Promise.all([place(), place()]);
  await place();
  expect(waits().map((command) => command?.[2])).toEqual([1_000, 100, 100]);
  expect(changes).toEqual([true]);
});

// Who runs the shop: every process with its role, version, load and health.
import { z } from "@hono/zod-openapi";
import { ACK_MODES, ROLES } from "../../engine/config.ts";
import { HEALTH_CHECKS } from "../../engine/instances/health.ts";
import { INSTANCE_STATES, type Instance } from "../../engine/instances/instances.ts";
import { RATES, STANDING } from "../../engine/instances/load.ts";
import { InstanceView } from "../../engine/instances/view.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { ADMIN_TAG } from "./audit-routes.ts";

const health = z
  .object({
    ready: z.boolean(),
    checks: z.partialRecord(z.enum(HEALTH_CHECKS), z.boolean()),
    reason: z.string().optional().openapi({ description: "Why it is not ready, where there is more to say" }),
  })
  .openapi("InstanceHealth");
const load = z
  .object({
    eventLoopDelayP99Ms: z.number(),
    eventLoopUtilization: z.number().openapi({ description: "From 0 to 1" }),
    cpu: z.number().openapi({ description: "Processors that it keeps busy" }),
    rssBytes: z.int(),
    ...optionalNumbers(RATES, z.number()),
    ...optionalNumbers(STANDING, z.int()),
  })
  .openapi("InstanceLoad", { description: "Since the beat before; what a role does not do is left out" });
const instance = z
  .object({
    id: z.uuid(),
    role: z.enum(ROLES),
    state: z.enum(INSTANCE_STATES).openapi({
      description:
        "late: beats are missing; gone: no beat for 15 s, or seen to be dead; stopped: it ended in good order. The last two are shown for an hour.",
    }),
    host: z.string(),
    pid: z.int(),
    version: z.string(),
    build: z.string().openapi({ description: "A digest of the code: processes of one build show the same" }),
    node: z.string(),
    ackMode: z.enum(ACK_MODES).nullable().openapi({ description: "Of the API's processes" }),
    configuration: z
      .int()
      .nullable()
      .openapi({ description: "The version of the runtime configuration in force there" }),
    startedAt: z.string(),
    heardAt: z.string().openapi({ description: "Its last beat; one comes every 2 s" }),
    endedAt: z.string().nullable(),
    health,
    load,
    partitions: z.array(z.string()).openapi({ description: "Those whose log a persister works; 100 at most" }),
  })
  .openapi("Instance");
const instances = z
  .object({
    items: z.array(instance),
    current: z.boolean().openapi({
      description:
        "false: Postgres does not answer. The items are those that it had last, only the answering process is as it is now.",
    }),
  })
  .openapi("Instances");

export function instanceRoutes(
  edge: Edge,
  { pool, instances: view = new InstanceView(pool) }: Pick<ApiDependencies, "pool" | "instances">,
): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/instances",
      summary: "Which processes run",
      description: "With role, version, load and health, as each tells every two seconds. 500 at most.",
      tag: ADMIN_TAG,
      access: "operator",
      answers: { 200: { description: "All of them, those that live first", schema: instances } },
    },
    async () => {
      const { items, current } = await view.read();
      return jsonAnswer({ items: items.map(represent), current });
    },
  );
}

function represent(one: Instance): z.input<typeof instance> {
  const { startedAt, heardAt, endedAt, partitions, ...rest } = one;
  return {
    ...rest,
    startedAt: startedAt.toISOString(),
    heardAt: heardAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    partitions: [...partitions],
  };
}

function optionalNumbers<Name extends string, Schema extends z.ZodType>(names: readonly Name[], schema: Schema) {
  return Object.fromEntries(names.map((name) => [name, schema.optional()])) as Record<Name, z.ZodOptional<Schema>>;
}

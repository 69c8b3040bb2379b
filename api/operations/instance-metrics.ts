// The processes that run, for Prometheus: what alarms about a role that is missing are made of.
import { Gauge, type Registry } from "prom-client";
import { ROLES } from "../../engine/config.ts";
import { INSTANCE_STATES, isAlive, listInstances } from "../../engine/instances/instances.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import { sharedRows } from "./shared-rows.ts";

export function exposeInstances(registry: Registry, db: Queryable): void {
  const rows = sharedRows(() => listInstances(db));
  new Gauge({
    name: "onrush_instances",
    help: "Processes by role and state; those that are gone or stopped are counted for an hour",
    labelNames: ["role", "state"] as const,
    registers: [registry],
    async collect() {
      const all = await rows();
      this.reset();
      for (const role of all ? ROLES : []) {
        for (const state of INSTANCE_STATES) {
          this.set({ role, state }, all?.filter((one) => one.role === role && one.state === state).length ?? 0);
        }
      }
    },
  });
  new Gauge({
    name: "onrush_instances_not_ready",
    help: "Processes that live and cannot do their work, by role",
    labelNames: ["role"] as const,
    registers: [registry],
    async collect() {
      const all = await rows();
      this.reset();
      for (const role of all ? ROLES : []) {
        const idle = all?.filter((one) => one.role === role && isAlive(one) && !one.health.ready);
        this.set({ role }, idle?.length ?? 0);
      }
    },
  });
}

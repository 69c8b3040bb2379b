// Which configuration this process runs by, for Prometheus: where two of them differ for longer than a moment, one is cut off.
import { Gauge, type Registry } from "prom-client";
import type { RunningConfiguration } from "../../engine/configuration/follower.ts";

export function exposeConfiguration(registry: Registry, configuration: RunningConfiguration): void {
  new Gauge({
    name: "onrush_configuration_version",
    help: "The version of the runtime configuration that holds in this process; 0: nothing was ever stored",
    registers: [registry],
    collect() {
      this.set(configuration.current.version);
    },
  });
  new Gauge({
    name: "onrush_paused",
    help: "1 for what operators have paused",
    labelNames: ["what"] as const,
    registers: [registry],
    collect() {
      for (const [what, isPaused] of Object.entries(configuration.current.settings.pauses)) {
        this.set({ what }, isPaused ? 1 : 0);
      }
    },
  });
}

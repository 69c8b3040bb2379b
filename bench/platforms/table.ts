// What a run over platforms says to people.
import type { Machine } from "../machine.ts";
import type { PlatformReport } from "./run.ts";

export function asTable(platforms: readonly PlatformReport[], machine: Machine): string {
  const { cores, cpu, memoryGb, loadBefore, versions } = machine;
  return [
    `${cores} cores (${cpu}), ${memoryGb} GB, node ${versions["node"]}; load before ${loadBefore}`,
    ...platforms.map(sectionOf),
  ].join("\n\n");
}

function sectionOf({ platform, version, alone, steady, rush }: PlatformReport): string {
  const rate = ({ buyers, ordersPerSecond, p50Ms, p99Ms, refused }: typeof steady) =>
    `  ${buyers} at a time: ${ordersPerSecond.toFixed(1)} orders/s; a purchase p50 ${Math.round(p50Ms)} ms, p99 ${Math.round(p99Ms)} ms${refused > 0 ? `; ${refused} refused` : ""}`;
  return [
    `${platform} ${version}, complete guest purchases`,
    rate(alone),
    rate(steady),
    `  ${rush.buyers} at once for ${rush.units} units: ${rush.sold} sold, ${rush.paid} paid, ${rush.oversold} oversold, ${rush.left} left; ${rush.seconds.toFixed(1)} s`,
    ...Object.entries(rush.refusals).map(([reason, times]) => `    ${times} x ${reason}`),
  ].join("\n");
}

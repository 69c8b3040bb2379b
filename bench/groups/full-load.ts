// What the API's process takes of memory while it is given all that it can answer, for ten minutes, with everything running: its
// resident memory every five seconds. Afterwards everything is drained and counted.
import { readFileSync } from "node:fs";
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import { prove } from "../proof.ts";
import type { Shop } from "../shop.ts";
import { spreadOf } from "../statistics.ts";

const SAMPLE_SECONDS = 5;

export async function measureFullLoad(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const sale = await shop.openSale("bench full load");
  const books = new Books(instance);
  const pid = instance.pids["api"] ?? 0;
  const target: Target = { name: "full_load", url: shop.ordersUrl, pid, order: sale, keyed: true, status: 202 };
  const memory = watchMemory(pid);
  try {
    const burst = await context.burst(target, { seconds: context.options.fullLoadSeconds });
    const samples = memory.end();
    for (const [i, mb] of samples.entries()) context.point("rss", { second: (i + 1) * SAMPLE_SECONDS, mb });
    if (samples.length > 0) {
      context.record("full load", "api_rss_mb", Math.max(...samples));
      context.record("full load", "api_rss_growth_mb", quarter(samples, 3) - quarter(samples, 1));
    }
    await untilApplied(books, [sale]);
    await untilFinished(books, sale);
    await untilApplied(books, [sale]);
    context.audit("full load, in Redis", await books.auditAdmission(sale, burst));
    context.audit("full load, in the ledger", await books.auditLedger(sale, burst));
    context.audit("full load, at the end", await books.auditEnds(sale));
    context.audit("full load, proof", await prove(instance, sale, context.say));
  } finally {
    memory.end();
    await books.close();
  }
}

/** Megabytes, one every five seconds; none where there is no /proc. */
function watchMemory(pid: number): { end(): number[] } {
  const samples: number[] = [];
  const timer = setInterval(() => {
    const mb = residentMb(pid);
    if (mb !== undefined) samples.push(mb);
  }, SAMPLE_SECONDS * 1_000);
  return {
    end() {
      clearInterval(timer);
      return samples;
    },
  };
}

function residentMb(pid: number): number | undefined {
  try {
    const kb = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kb === undefined ? undefined : Number(kb) / 1_024;
  } catch {
    return undefined;
  }
}

/** Median of a quarter of the samples. @param which from 0 */
function quarter(samples: readonly number[], which: number): number {
  const size = samples.length / 4;
  const own = samples.slice(
    Math.floor(which * size),
    Math.max(Math.floor((which + 1) * size), Math.floor(which * size) + 1),
  );
  return spreadOf(own)?.median ?? Number.NaN;
}

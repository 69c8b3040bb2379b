// The run: instances come and go, groups of scenarios follow one another on a machine that does nothing else meanwhile.
import type { Context } from "./context.ts";
import { measureAckModes } from "./groups/ack-modes.ts";
import { measureAdmission } from "./groups/admission.ts";
import { measureCatalogue } from "./groups/catalogue.ts";
import { measureColdStart } from "./groups/cold-start.ts";
import { measureConnections } from "./groups/connections.ts";
import { measureEverything } from "./groups/everything.ts";
import { measureExpiry } from "./groups/expiry.ts";
import { measureFullLoad } from "./groups/full-load.ts";
import { measureBusyLatencies, measureLatencies } from "./groups/latency.ts";
import { measureLibrary } from "./groups/library.ts";
import { measureLimits } from "./groups/limits.ts";
import { measureMemory } from "./groups/memory.ts";
import { measurePeersKilled } from "./groups/peers-killed.ts";
import { drainAccepted, measurePersisting } from "./groups/persisting.ts";
import { measureReconciliation } from "./groups/reconcile.ts";
import { measureCarts, measureRushes } from "./groups/rush.ts";
import { measureScale } from "./groups/scale.ts";
import { measureSkus } from "./groups/skus.ts";
import { measureSockets } from "./groups/sockets.ts";
import { measureSustained } from "./groups/sustained.ts";
import { measureTokens } from "./groups/tokens.ts";
import { startInstance } from "./instance.ts";
import { type Sale, Shop } from "./shop.ts";

export async function runScenarios(context: Context): Promise<void> {
  const http = context.wants("accept", "soldout", "soldout_keyed", "accept_p99");
  const library = context.wants("engine_direct", "engine_single");
  const persisting = context.wants("persist", "persist_raw", "persist_copy");
  const tokens = context.wants("tokens");
  const everything = context.wants("accept_all", "pg_row", "pg_skip_locked", "redis_lock", "bullmq");
  // A no-op by itself is measured where the others are.
  if (http || library || persisting || tokens || (context.wants("noop") && !everything)) {
    context.say("Admission: an API with its Redis and Postgres ...");
    await withShop(context, "api", async (instance, shop) => {
      let left: Sale | undefined;
      if (http || context.wants("noop")) left = await measureAdmission(context, instance, shop);
      if (left) await drainAccepted(context, instance, [left]);
      if (persisting) await measurePersisting(context, instance, shop);
      if (library) await measureLibrary(context, instance, shop);
      if (tokens) await measureTokens(context, instance, shop);
    });
  }
  if (context.wants("limits", "rush", "carts", "connections")) {
    context.say("Limits, rushes, carts, connections ...");
    await withShop(context, "api", async (instance, shop) => {
      if (context.wants("limits")) await measureLimits(context, instance, shop);
      const left: Sale[] = [];
      if (context.wants("rush")) left.push(...(await measureRushes(context, instance, shop)));
      if (context.wants("carts")) left.push(await measureCarts(context, instance, shop));
      if (context.wants("connections")) left.push(await measureConnections(context, instance, shop));
      if (left.length > 0) await drainAccepted(context, instance, left);
    });
  }
  if (everything) {
    context.say("Everything running on this machine ...");
    await withShop(context, "api,persister,worker", (instance, shop) => measureEverything(context, instance, shop));
  }
  if (context.wants("ack_modes")) {
    context.say("What acknowledgements cost ...");
    await measureAckModes(context);
  }
  if (context.wants("ws")) {
    context.say("Buyers on sockets ...");
    await withShop(context, "api,persister,worker", (instance, shop) => measureSockets(context, instance, shop));
  }
  if (context.wants("cold_start")) {
    context.say("From npm start to the first order ...");
    await measureColdStart(context);
  }
  if (context.wants("latency")) {
    context.say("Latency at fixed rates ...");
    await withShop(context, "api", async (instance, shop) => {
      await drainAccepted(context, instance, [await measureLatencies(context, instance, shop)]);
    });
    await withShop(context, "api,persister,worker", (instance, shop) => measureBusyLatencies(context, instance, shop));
  }
  if (context.wants("peers_killed")) {
    context.say("Peers that are killed ...");
    await measurePeersKilled(context);
  }
  if (context.wants("sustained")) {
    context.say("A steady rate from acceptance to CONFIRMED ...");
    await withShop(
      context,
      "api,persister,worker",
      (instance, shop) => measureSustained(context, instance, shop),
      true,
    );
  }
  if (context.wants("expiry")) {
    context.say("Reservations that end at once ...");
    await withShop(context, "api,persister,worker", (instance, shop) => measureExpiry(context, instance, shop));
  }
  if (context.wants("scale")) {
    context.say("A sale that grows ...");
    await withShop(context, "api,persister", (instance, shop) => measureScale(context, instance, shop));
  }
  if (context.wants("skus")) {
    context.say("Sales of many products ...");
    await withShop(context, "api,persister", (instance, shop) => measureSkus(context, instance, shop));
  }
  if (context.wants("memory")) {
    context.say("What orders keep in Redis ...");
    await withShop(context, "api", (instance, shop) => measureMemory(context, instance, shop));
  }
  if (context.wants("full_load")) {
    context.say("Memory at full load ...");
    await withShop(context, "api,persister,worker", (instance, shop) => measureFullLoad(context, instance, shop));
  }
  if (context.wants("catalogue")) {
    context.say("Fifty thousand products ...");
    await withShop(context, "api", (instance) => measureCatalogue(context, instance));
  }
  if (context.wants("reconcile")) {
    context.say("The reconciler beside a steady stream ...");
    await withShop(context, "api,persister,worker", (instance, shop) => measureReconciliation(context, instance, shop));
  }
}

async function withShop(
  context: Context,
  roles: string,
  work: (instance: Awaited<ReturnType<typeof startInstance>>, shop: Shop) => Promise<void>,
  gatewayInProcess = false,
): Promise<void> {
  const instance = await startInstance({ roles, gatewayInProcess });
  try {
    await work(instance, await Shop.open(instance));
    context.settle();
  } finally {
    await instance.stop();
  }
}

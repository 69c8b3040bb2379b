// The persister's process.
import { askServers, healthOf } from "../engine/instances/health.ts";
import { registerInstance } from "../engine/instances/registration.ts";
import { CHANNELS } from "../engine/keys.ts";
import { openPool } from "../engine/ledger/database.ts";
import { openOutbox } from "../engine/outbox/outbox.ts";
import { blockingConnection, commandConnection, connect, subscriberConnection } from "../engine/redis/connection.ts";
import { runService } from "../engine/service.ts";
import { PERSISTER_TIMINGS, Persister } from "./persister.ts";
import { startQueuedRebuilds } from "./recovery/queued.ts";

await runService({ role: "persister" }, async (config, log, configuration) => {
  const onError = (error: unknown) => log.warn({ err: error }, "connection trouble");
  const pool = openPool(
    config.databaseUrl,
    { connectionsMax: 8, applicationName: "onrush-persister", statementTimeoutMs: 30_000 },
    onError,
  );
  const outbox = await openOutbox(config.databaseUrl, onError);
  const redis = commandConnection(config.redisUrl, 5_000);
  const blocking = blockingConnection(config.redisUrl, PERSISTER_TIMINGS.blockMs);
  const subscriber = subscriberConnection(config.redisUrl);
  for (const connection of [redis, blocking, subscriber]) connection.on("error", onError);
  await Promise.all([redis, blocking, subscriber].map(connect));

  const tiers = () => configuration.current.settings.points.tiers;
  const persister = new Persister({ pool, outbox, redis, blocking, log, tiers });
  await persister.start();
  // A sale that was just opened is worked at once instead of at the next round.
  subscriber.on("message", () => persister.refresh().catch(onError));
  await subscriber.subscribe(CHANNELS.catalogue);
  const rebuilds = startQueuedRebuilds({ pool, outbox, redis, log });
  let stopping = false;
  const registration = await registerInstance({
    ...{ role: "persister", db: pool, log },
    health: async () => healthOf({ ...(await askServers(redis, pool)), accepting: !stopping }),
    configuration: () => configuration.current.version,
    work: () => {
      const { partitions, applied } = persister;
      return { totals: applied, standing: { partitions: partitions.length }, partitions };
    },
  });

  return {
    async stop() {
      stopping = true;
      await Promise.all([persister.stop(), rebuilds.stop()]);
      await registration.stop();
      subscriber.disconnect();
      redis.disconnect();
      await Promise.all([outbox.close(), pool.end()]);
    },
  };
});

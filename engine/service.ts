// The frame of every role's process: configuration, at the start and while it runs, logger, the wait for Redis and Postgres,
// readiness to the launcher, and an orderly end on SIGTERM.
import { ConfigError, loadConfig, type RoleConfig, requireRoleConfig } from "./config.ts";
import { ConfigurationFollower, type RunningConfiguration } from "./configuration/follower.ts";
import { settingsEnvironment } from "./configuration/settings.ts";
import { createLogger, type Logger } from "./log.ts";
import { isAway, untilServersAnswer } from "./startup.ts";

/** What a started role gives back. */
export interface RunningService {
  /** Told to the launcher with readiness, e.g. the URL that the API listens at. */
  readonly ready?: Readonly<Record<string, unknown>>;
  /** Finishes what is under way and lets everything go. */
  stop(): Promise<void>;
}

/** A role's process ends this long after SIGTERM, whatever still hangs. */
export const STOP_TIMEOUT_MS = 10_000;

/** How a role's process ends when a server went away while it was starting: another try, later, is all it takes. */
export const SERVERS_AWAY_EXIT_CODE = 75;

export interface RoleFrame {
  readonly role: string;
  /** What the role does while it waits for its servers. */
  readonly whileWaiting?: (config: RoleConfig) => Promise<{ stop(): Promise<void> }>;
}

/**
 * Runs a role until SIGTERM or SIGINT. It waits for Redis and Postgres as long as they are away. Other start-up problems are
 * one log line and exit code 1; so is an unhandled error later, because a process in an unknown state must not go on
 * deciding orders.
 */
export async function runService(
  { role, whileWaiting }: RoleFrame,
  start: (config: RoleConfig, log: Logger, configuration: RunningConfiguration) => Promise<RunningService>,
): Promise<void> {
  const isLaunched = process.connected === true;
  let config: RoleConfig;
  try {
    config = requireRoleConfig(loadConfig(process.env));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
  const log = createLogger(role, config.logLevel);
  const die = (error: unknown) => {
    log.fatal({ err: error }, "the process ends on an error nobody handled");
    process.exit(1);
  };
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);

  await untilServersAreThere(config, log, whileWaiting).catch(die);
  const configuration = await followConfiguration(config, log);
  const service = await start(config, log, configuration).catch((error: unknown) => {
    if (!isAway(error)) return die(error);
    log.warn({ err: error }, "a server went away while the process was starting");
    return process.exit(SERVERS_AWAY_EXIT_CODE);
  });
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, "stopping");
    setTimeout(() => {
      log.error("did not stop in time");
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
    Promise.all([service.stop(), configuration.stop()]).then(() => process.exit(0), die);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  // The launcher's end of the channel closing means that the launcher is gone.
  process.on("disconnect", () => stop("launcher gone"));
  // It may have gone while the role was starting, when nobody listened.
  if (isLaunched && !process.connected) stop("launcher gone");
  log.info(service.ready ?? {}, "ready");
  process.send?.({ type: "ready", ...service.ready });
}

/** Resolves when it is known what holds, or a moment later by the environment. */
async function followConfiguration(config: RoleConfig, log: Logger): Promise<ConfigurationFollower> {
  const environment = settingsEnvironment(process.env, config);
  const configuration = new ConfigurationFollower({ databaseUrl: config.databaseUrl, environment, log });
  await configuration.start();
  configuration.follow((settings) => {
    log.level = settings.log.level;
  });
  return configuration;
}

/** One log line when they are away, one when they are there. The process can be stopped meanwhile. */
async function untilServersAreThere(
  config: RoleConfig,
  log: Logger,
  whileWaiting: RoleFrame["whileWaiting"],
): Promise<void> {
  const leave = () => process.exit(0);
  let inPlace: { stop(): Promise<void> } | undefined;
  let waits = false;
  process.on("SIGTERM", leave).on("SIGINT", leave).on("disconnect", leave);
  try {
    await untilServersAnswer(config, {
      onAway: async (server, err) => {
        waits = true;
        log.warn({ err }, `waiting for ${server}`);
        process.send?.({ type: "waiting" });
        inPlace = await whileWaiting?.(config);
      },
    });
  } finally {
    await inPlace?.stop();
    process.off("SIGTERM", leave).off("SIGINT", leave).off("disconnect", leave);
  }
  if (!waits) return;
  log.info("Redis and Postgres are there");
  process.send?.({ type: "starting" });
}

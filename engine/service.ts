// The frame of every role's process: configuration, logger, readiness to the launcher, and an orderly end on SIGTERM.
import { ConfigError, loadConfig, type RoleConfig, requireRoleConfig } from "./config.ts";
import { createLogger, type Logger } from "./log.ts";

/** What a started role gives back. */
export interface RunningService {
  /** Told to the launcher with readiness, e.g. the URL that the API listens at. */
  readonly ready?: Readonly<Record<string, unknown>>;
  /** Finishes what is under way and lets everything go. */
  stop(): Promise<void>;
}

/** A role's process ends this long after SIGTERM, whatever still hangs. */
export const STOP_TIMEOUT_MS = 10_000;

/**
 * Runs a role until SIGTERM or SIGINT. Start-up problems are one log line and exit code 1; so is an unhandled error
 * later, because a process in an unknown state must not go on deciding orders.
 */
export async function runService(
  role: string,
  start: (config: RoleConfig, log: Logger) => Promise<RunningService>,
): Promise<void> {
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

  const service = await start(config, log).catch(die);
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, "stopping");
    setTimeout(() => {
      log.error("did not stop in time");
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
    service.stop().then(() => process.exit(0), die);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  // The launcher's end of the channel closing means that the launcher is gone.
  process.on("disconnect", () => stop("launcher gone"));
  log.info(service.ready ?? {}, "ready");
  process.send?.({ type: "ready", ...service.ready });
}

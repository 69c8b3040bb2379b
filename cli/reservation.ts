// How long a new sale holds reservations when nothing says otherwise: as the API takes it from its environment.
import { ConfigError, loadConfig } from "../engine/config.ts";
import { UsageError } from "./failure.ts";

/** @throws UsageError when the environment says something that is no number of seconds */
export function reservationTtlMs(): number {
  const seconds = process.env["RESERVATION_TTL_SECONDS"];
  try {
    return loadConfig({ RESERVATION_TTL_SECONDS: seconds }).reservationTtlMs;
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.problems.join("; "));
    throw error;
  }
}

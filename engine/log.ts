// Structured logs, one JSON object a line. What could open a door is redacted by name, wherever it stands.
import { type Logger, pino } from "pino";

const SECRETS = ["token", "password", "receipt", "authorization", "secret", "accessToken", "refreshToken", "ticket"];

export type { Logger } from "pino";

export function createLogger(role: string, level: string): Logger {
  return pino({
    level,
    base: { role, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "[redacted]" },
  });
}

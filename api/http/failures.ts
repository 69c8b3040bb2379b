// What an exception means to the client. Refusals pass as they are; a database that is away is 503 and worth another
// try; everything else is a defect: logged with all it knows, answered with nothing of it.
import { HTTPException } from "hono/http-exception";
import pg from "pg";
import { OnrushError } from "../../engine/errors.ts";

const CONNECTION_ERRORS = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH"]);
/** SQLSTATE classes and codes: connection exception, insufficient resources, operator intervention, too many conflicts. */
const POSTGRES_AWAY = /^(08|53|57P|57014|40001|40P01|25006)/;
/** What pg and its pool say without a code. */
const POSTGRES_MESSAGES = /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout)/i;
const CLIENT_CLOSED = /has encountered a connection error and is not queryable|Client was closed/;
const REDIS_MESSAGES = /^(Connection is closed|Command timed out|Stream isn't writeable|Reached the max retries)/;
const REDIS_AWAY = /^(LOADING|MASTERDOWN|CLUSTERDOWN|READONLY|OOM|TRYAGAIN|BUSY)\b/;

/** Reads an exception as a refusal, or `undefined` when it is a defect. */
export function refusalOf(error: unknown): OnrushError | undefined {
  if (error instanceof OnrushError) return error;
  if (error instanceof HTTPException) return fromHttpException(error);
  if (isRedisAway(error)) {
    return new OnrushError("STOCK_UNAVAILABLE", "The stock cannot be reached at the moment.", {}, { cause: error });
  }
  if (isPostgresAway(error)) {
    return new OnrushError("OVERLOADED", "The database cannot be reached at the moment.", {}, { cause: error });
  }
  return undefined;
}

/** True when Postgres could not be asked, or gave up; the same request may succeed later. */
export function isPostgresAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof pg.DatabaseError) return POSTGRES_AWAY.test(error.code ?? "");
  if (error instanceof AggregateError) return error.errors.some(isPostgresAway);
  const code = "code" in error ? String(error.code) : "";
  return CONNECTION_ERRORS.has(code) || POSTGRES_MESSAGES.test(error.message) || CLIENT_CLOSED.test(error.message);
}

/** True when Redis could not be asked, or cannot serve for now. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "ReplyError") return REDIS_AWAY.test(error.message);
  return error.name === "MaxRetriesPerRequestError" || REDIS_MESSAGES.test(error.message);
}

function fromHttpException(error: HTTPException): OnrushError | undefined {
  if (error.status === 404) return new OnrushError("NOT_FOUND", "There is nothing here.");
  if (error.status >= 400 && error.status < 500) return new OnrushError("VALIDATION", error.message || "Bad request.");
  return undefined;
}

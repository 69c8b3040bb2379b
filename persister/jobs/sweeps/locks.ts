// Which worker runs a sweep: whoever gets its advisory lock. All locks of a worker are its one session's, on a connection of
// their own: a pass may wait for its statements' connections, never for one that another pass's lock keeps. A worker that
// dies frees its locks at once; one that freezes is cut off by Postgres, which ends a session that is silent for too long.
// The locks save work and nothing more: every sweep is safe when two run it.
import pg from "pg";
import type { Logger } from "../../../engine/log.ts";

/** A session that is silent for this long has lost its locks. */
const SILENCE_MS_MAX = 15_000;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 5_000;

const KEY = "hashtextextended('onrush sweep ' || $1, 0)";

export class SweepLocks {
  readonly #databaseUrl: string;
  readonly #log: Logger;
  #session: Promise<pg.Client> | undefined;
  /** The statement under way: a session answers one at a time. */
  #asking: Promise<unknown> = Promise.resolve();

  /** Connects when the first lock is wanted, and anew when the session was lost. */
  constructor(databaseUrl: string, log: Logger) {
    this.#databaseUrl = databaseUrl;
    this.#log = log;
  }

  /** Runs the work under the sweep's lock, unless another worker has it. @returns whether it ran */
  async withLock(sweep: string, work: () => Promise<void>): Promise<boolean> {
    const session = await this.#open();
    const taken = await this.#ask(session, `SELECT pg_try_advisory_lock(${KEY}) AS done`, sweep);
    if (!taken) return false;
    try {
      await work();
    } finally {
      // A session that was lost meanwhile has lost its locks with it.
      await this.#ask(session, `SELECT pg_advisory_unlock(${KEY}) AS done`, sweep).catch(() => undefined);
    }
    return true;
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.then((client) => client.end()).catch(() => undefined);
  }

  #ask(session: pg.Client, text: string, sweep: string): Promise<boolean> {
    const answer = this.#asking.then(() => this.#askNow(session, text, sweep));
    this.#asking = answer.catch(() => undefined);
    return answer;
  }

  async #askNow(session: pg.Client, text: string, sweep: string): Promise<boolean> {
    try {
      const result = await session.query<{ done: boolean }>(text, [sweep]);
      return result.rows[0]?.done === true;
    } catch (error) {
      // What it may still answer is of no use: the next pass has a new one.
      session.end().catch(() => undefined);
      throw error;
    }
  }

  #open(): Promise<pg.Client> {
    if (this.#session) return this.#session;
    const opening = this.#connect();
    const forget = () => {
      if (this.#session === opening) this.#session = undefined;
    };
    opening.then((client) => client.once("end", forget), forget);
    this.#session = opening;
    return opening;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#databaseUrl,
      application_name: "onrush sweeps",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS,
      keepAlive: true,
    });
    client.on("error", (error) => this.#log.warn({ err: error }, "the sweeps' session broke"));
    await client.connect();
    await client.query(`SET idle_session_timeout = ${SILENCE_MS_MAX}`);
    return client;
  }
}

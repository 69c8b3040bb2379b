// How a process follows the runtime configuration. It has a connection to Postgres of its own, so that news never waits
// behind work: NOTIFY tells of a new version with its commit, and a look twice a second finds what was not told. What holds
// is one frozen object that is replaced as a whole: reading a setting is reading a property.
//
// While Postgres is away the last known version goes on to hold; a process that has never known one runs by its environment.
// A version that cannot be used (a hand changed it, a later Onrush wrote it) is told once, and the one before goes on to hold.
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "../log.ts";
import {
  type Configuration,
  effectiveSettings,
  type Settings,
  type SettingsEnvironment,
  type StoredSettings,
  storedSettings,
} from "./settings.ts";
import { CONFIGURATION_CHANNEL, readNewer } from "./versions.ts";

/** The configuration of a process. */
export interface RunningConfiguration {
  /** What holds now. Keep the object that this belongs to, and not what it gave: that is replaced. */
  readonly current: Configuration;
  /** What holds where nothing is stored. */
  readonly environment: SettingsEnvironment;
  /** Calls at once and after each change. What is thrown is logged; the others hear of it all the same. */
  follow(listener: (settings: Settings, version: number) => void): void;
}

export interface FollowOptions {
  readonly databaseUrl: string;
  readonly environment: SettingsEnvironment;
  readonly log: Logger;
  readonly pollMs?: number;
}

const POLL_MS = 500;
const CONNECT_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 2_000;
/** How long the start waits for the first look. */
const FIRST_LOOK_MS = 3_000;

export class ConfigurationFollower implements RunningConfiguration {
  readonly environment: SettingsEnvironment;
  readonly #options: FollowOptions;
  readonly #listeners: ((settings: Settings, version: number) => void)[] = [];
  readonly #stopping = new AbortController();
  #current: Configuration;
  #client: pg.Client | undefined;
  #isTold = false;
  #wake: () => void = () => undefined;
  #unusable: number | undefined;
  #isFailing = false;
  #loop: Promise<void> | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.environment = options.environment;
    this.#current = Object.freeze({ version: 0, settings: effectiveSettings({}, options.environment) });
  }

  get current(): Configuration {
    return this.#current;
  }

  follow(listener: (settings: Settings, version: number) => void): void {
    this.#listeners.push(listener);
    this.#tell(listener);
  }

  /** Resolves after the first look, or a moment later without it. */
  async start(): Promise<void> {
    const first = this.#attempt();
    this.#loop = first.then(() => this.#run());
    await Promise.race([first, sleep(FIRST_LOOK_MS, undefined, { ref: false })]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    this.#drop();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { pollMs = POLL_MS } = this.#options;
    while (!this.#stopping.signal.aborted) {
      await this.#untilDue(pollMs);
      if (!this.#stopping.signal.aborted) await this.#attempt();
    }
  }

  async #untilDue(pollMs: number): Promise<void> {
    if (this.#isTold) return;
    const told = Promise.withResolvers<void>();
    this.#wake = told.resolve;
    const timer = setTimeout(told.resolve, pollMs);
    await told.promise;
    clearTimeout(timer);
  }

  /** One look. Never rejects. */
  async #attempt(): Promise<void> {
    this.#isTold = false;
    try {
      this.#client ??= await this.#connect();
      this.#take(await readNewer(this.#client, this.#current.version));
      if (this.#isFailing) this.#options.log.info("the configuration is followed again");
      this.#isFailing = false;
    } catch (err) {
      this.#drop();
      if (this.#stopping.signal.aborted || this.#isFailing) return;
      this.#isFailing = true; // said once an outage
      this.#options.log.warn({ err, configuration: this.#current.version }, "the last known configuration holds");
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
      application_name: "onrush configuration",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    });
    client.on("error", () => {
      // A query under way rejects with the same, and the next look finds another one.
      if (this.#client === client) this.#drop();
    });
    client.on("notification", () => {
      this.#isTold = true;
      this.#wake();
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CONFIGURATION_CHANNEL}`);
      return client;
    } catch (error) {
      void client.end().catch(() => undefined);
      throw error;
    }
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    void client?.end().catch(() => undefined);
  }

  #take({ version, settings }: { readonly version: number; readonly settings: unknown }): void {
    if (version === this.#current.version || version === this.#unusable) return;
    const stored = readStored(settings);
    if (!stored) {
      this.#unusable = version;
      const known = this.#current.version;
      this.#options.log.error(
        { configuration: version, known },
        "a configuration cannot be used; the one before holds",
      );
      return;
    }
    this.#unusable = undefined;
    this.#current = Object.freeze({ version, settings: effectiveSettings(stored, this.environment) });
    this.#options.log.info({ configuration: version }, "another configuration holds");
    for (const listener of this.#listeners) this.#tell(listener);
  }

  #tell(listener: (settings: Settings, version: number) => void): void {
    try {
      listener(this.#current.settings, this.#current.version);
    } catch (err) {
      this.#options.log.error({ err, configuration: this.#current.version }, "a change could not be put in force");
    }
  }
}

/** Names that this version does not know are left out: a later one may have stored them. `undefined`: not to be used. */
function readStored(settings: unknown): StoredSettings | undefined {
  const read = storedSettings.safeParse(settings);
  if (read.success) return read.data;
  if (!read.error.issues.every(({ code }) => code === "unrecognized_keys")) return undefined;
  const known = structuredClone(settings) as Record<string, Record<string, unknown>>;
  for (const issue of read.error.issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const [section] = issue.path;
    const within = section === undefined ? known : known[String(section)];
    for (const key of issue.keys) delete within?.[key];
  }
  return storedSettings.safeParse(known).data;
}

/** One that never changes: for tests, and for programs that bring their own. */
export function fixedConfiguration(environment: SettingsEnvironment): RunningConfiguration {
  const current = Object.freeze({ version: 0, settings: environment.settings });
  return { current, environment, follow: (listener) => listener(current.settings, current.version) };
}

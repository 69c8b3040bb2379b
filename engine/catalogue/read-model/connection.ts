// redis-om's connection to the cache's Redis. The client underneath waits for an answer for ever, so each question has its
// time here: a server that keeps it waiting is taken for away, the connection is given up, and questions fail at once until
// a new one has answered a PING. Nothing waits for the server to come back, and nothing ends the process when it does not.
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { type Entity, Repository } from "redis-om";
import { copySchema } from "./copy.ts";

const ANSWER_MS_MAX = 250;
const CONNECT_MS_MAX = 1_000;
/** For connecting and the questions that come before the first one: log-in, PING, whether it can search. */
const START_MS_MAX = CONNECT_MS_MAX + 1_000;
const RECONNECT_DELAY_MS = 50;
const RECONNECT_DELAY_MS_MAX = 1_000;
const UNANSWERED_MAX = 10_000;

/** The server cannot be asked now. */
export class CacheAway extends Error {
  override readonly name = "CacheAway";
}

interface Life {
  readonly copies: Repository<Entity>;
  readonly canSearch: boolean;
  readonly end: (why: unknown) => void;
}

export interface CacheWatcher {
  /** Told once for each time that the server went away; not again before it was back. */
  onAway(why: unknown): void;
  onBack(): void;
}

export class CopiesConnection {
  readonly #url: string;
  readonly #watcher: CacheWatcher;
  readonly #stopping = new AbortController();
  #life: Life | undefined;
  /** Ends the connection that is there or being made. */
  #end: (why: unknown) => void = () => undefined;
  #running: Promise<void> | undefined;

  /** @param url redis:// or rediss://, with user, password and database as ioredis takes them */
  constructor(url: string, watcher: CacheWatcher) {
    this.#url = url;
    this.#watcher = watcher;
  }

  /** Begins to connect, and does so again whenever the connection is lost. */
  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#end(new CacheAway("the process stops"));
    await this.#running;
  }

  get isThere(): boolean {
    return this.#life !== undefined;
  }

  /** Whether the server has the RediSearch module. */
  get canSearch(): boolean {
    return this.#life?.canSearch ?? false;
  }

  /** Asks the server, within a quarter of a second. @throws CacheAway, or what the question throws */
  async ask<T>(question: (copies: Repository<Entity>) => Promise<T>): Promise<T> {
    const life = this.#life;
    if (!life) throw new CacheAway("the cache's Redis is not connected");
    let isOver = false;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      // An answer that came while this process was busy is read before the second look.
      const look = () => {
        if (isOver) return;
        const why = new CacheAway("the cache's Redis did not answer in time");
        life.end(why);
        reject(why);
      };
      timer = setTimeout(() => setImmediate(look), ANSWER_MS_MAX);
    });
    try {
      return await Promise.race([question(life.copies), tooLate]);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      const why = await this.#live(() => {
        if (failures > 0) this.#watcher.onBack();
        failures = 0;
      });
      if (signal.aborted) return;
      if (failures === 0) this.#watcher.onAway(why);
      const delay = Math.min(RECONNECT_DELAY_MS * 2 ** Math.min(failures, 10), RECONNECT_DELAY_MS_MAX);
      failures += 1;
      await sleep(delay, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One connection from its start to its end. @returns why it ended */
  async #live(onReady: () => void): Promise<unknown> {
    const client = createClient(clientOptions(this.#url));
    // Without a listener an error would end the process.
    const dialled = new Promise((resolve) => client.once("connect", resolve).once("error", resolve));
    let isOver = false;
    const why = await new Promise<unknown>((resolve) => {
      const end = (cause: unknown) => {
        if (isOver) return;
        isOver = true;
        this.#life = undefined;
        clearTimeout(late);
        resolve(cause);
      };
      const late = setTimeout(() => end(new CacheAway("the cache's Redis cannot be connected to")), START_MS_MAX);
      this.#end = end;
      client.on("error", end);
      startClient(client).then((canSearch) => {
        if (isOver) return;
        clearTimeout(late);
        this.#life = { copies: new Repository(copySchema, client), canSearch, end };
        onReady();
      }, end);
    });
    await dialled; // a client that is let go while it dials would keep the connection that it gets
    await client.disconnect().catch(() => undefined); // it is already
    return why;
  }
}

/** Connects, and sees that the server answers. @returns whether it has the RediSearch module */
async function startClient(client: ReturnType<typeof createClient>): Promise<boolean> {
  await client.connect();
  await client.ping();
  return await client.ft._list().then(
    () => true,
    () => false,
  );
}

/** No re-connecting and no waiting queue of the client's own: both are done above, with their ends. */
export function clientOptions(url: string) {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const address = {
    host: hostname.replace(/^\[(.*)\]$/, "$1") || "127.0.0.1",
    port: port === "" ? 6_379 : Number(port),
    connectTimeout: CONNECT_MS_MAX,
    reconnectStrategy: false as const,
  };
  const database = Number(pathname.slice(1));
  return {
    socket: protocol === "rediss:" ? { ...address, tls: true as const } : address,
    ...(username !== "" && { username: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    ...(Number.isInteger(database) && database > 0 && { database }),
    disableOfflineQueue: true,
    disableClientInfo: true,
    commandsQueueMaxLength: UNANSWERED_MAX,
  };
}

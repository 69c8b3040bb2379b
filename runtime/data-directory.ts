// DATA_DIR: everything that an instance on this machine keeps. One instance at a time owns it.
//
//   lock            held by the kernel for the owner (an exclusive lock inside an empty SQLite file), so that it ends
//                   with the owner's process however that ends: a lock is never stale, and a reused pid cannot matter
//   owner.json      who holds the lock, for the message to whoever comes second
//   secrets.json    passwords and signing keys, made once (secrets.ts)
//   processes.json  processes that the instance started; what a killed instance left behind is ended by the next one
//   runtime.json    where a running instance is, with administrator's access; present only while it serves
//   redis/, postgres/, *.log
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { identify, isRunning, type ProcessIdentity } from "../engine/process-identity.ts";
import { endProcess } from "./end-process.ts";
import { StartFailure } from "./failure.ts";

/** Content of runtime.json. */
export type RuntimeFile = {
  apiUrl: string | null;
  redisUrl: string;
  databaseUrl: string;
  /** The simulated payment provider, when this instance runs it. */
  paymentGateway?: { url: string; key: string };
  pids: Record<string, number>;
};

type RecordedProcess = ProcessIdentity & { name: string; stopSignal: NodeJS.Signals };

/** What a process that was left behind gets to end by itself. */
const LEFTOVER_TIMEOUT_MS = 15_000;

export class DataDirectory {
  readonly path: string;
  readonly #lock: DatabaseSync;
  #processes: RecordedProcess[] = [];

  private constructor(directory: string, lock: DatabaseSync) {
    this.path = directory;
    this.#lock = lock;
  }

  /**
   * Creates the directory if need be and takes it for this process.
   *
   * @param apiUrl where this instance is going to serve, for the message to a second one.
   * @throws StartFailure when another instance owns it, or it cannot be written.
   */
  static open(directory: string, apiUrl: string): DataDirectory {
    const absolute = path.resolve(directory);
    try {
      // 0711: Postgres, which does not run as root, must be able to pass through; every secret inside is 0600.
      mkdirSync(absolute, { recursive: true, mode: 0o711 });
    } catch (error) {
      throw new StartFailure(`Cannot use DATA_DIR ${absolute}: ${(error as Error).message}.`);
    }
    const lock = takeLock(absolute);
    const owned = new DataDirectory(absolute, lock);
    owned.writeJson("owner.json", { pid: process.pid, url: apiUrl });
    return owned;
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Undefined when there is no such file. */
  readJson(name: string): unknown {
    return readJsonFile(this.file(name));
  }

  /** Replaces the file at once, readable by the owner only. */
  writeJson(name: string, value: unknown): void {
    const staged = this.file(`${name}.new`);
    writeFileSync(staged, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
    renameSync(staged, this.file(name));
  }

  /** Remembers a process that this instance has just started. */
  recordProcess(name: string, pid: number, stopSignal: NodeJS.Signals): void {
    const identity = identify(pid);
    if (!identity) return;
    this.#processes = [...this.#processes.filter(isRunning), { name, stopSignal, ...identity }];
    this.writeJson("processes.json", this.#processes);
  }

  /** Ends what an instance that was killed left running, in the order in which a clean stop would have. */
  async endLeftovers(): Promise<string[]> {
    const recorded = (this.readJson("processes.json") ?? []) as RecordedProcess[];
    const leftovers = recorded.filter(isRunning).reverse();
    for (const leftover of leftovers) await endProcess(leftover, leftover.stopSignal, LEFTOVER_TIMEOUT_MS);
    rmSync(this.file("processes.json"), { force: true });
    rmSync(this.file("runtime.json"), { force: true });
    return leftovers.map((leftover) => leftover.name);
  }

  publishRuntime(runtime: RuntimeFile): void {
    this.writeJson("runtime.json", runtime);
  }

  withdrawRuntime(): void {
    rmSync(this.file("runtime.json"), { force: true });
  }

  /** Gives the directory up after a clean stop: nothing that it started is running any more. */
  close(): void {
    for (const name of ["runtime.json", "processes.json", "owner.json"]) rmSync(this.file(name), { force: true });
    this.#lock.close();
  }
}

function takeLock(directory: string): DatabaseSync {
  const lock = new DatabaseSync(path.join(directory, "lock"));
  try {
    lock.exec("PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) {
      throw new StartFailure(`Cannot lock DATA_DIR ${directory}: ${(error as Error).message}.`);
    }
    throw new StartFailure(alreadyRunning(directory));
  }
}

const SQLITE_BUSY = 5;

function alreadyRunning(directory: string): string {
  const owner = readJsonFile(path.join(directory, "owner.json")) as { pid: number; url: string } | undefined;
  const who = owner ? ` (pid ${owner.pid}, ${owner.url})` : "";
  return `Onrush is already running on ${directory}${who}; stop it first, or start another one with its own DATA_DIR and PORT.`;
}

function readJsonFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new StartFailure(`Cannot read ${file}: ${(error as Error).message}.`);
  }
}

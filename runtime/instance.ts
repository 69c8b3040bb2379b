// An instance from start to stop. Each stage needs the ones before it:
//
//   configuration -> DATA_DIR taken, leftovers ended -> HOST:PORT free -> Redis, Postgres -> schema, catalogue -> roles
//
// Whatever fails, what was started is stopped, in the order in which nothing is lost: API, worker, persister, payment
// provider, servers.
// A signal while starting stops after the stage that is under way.
import { type Config, ConfigError, loadConfig } from "../engine/config.ts";
import { loadSigningKey, PRIVATE_KEY_FILE } from "../engine/proof/key.ts";
import { localUrl, usablePort } from "./address.ts";
import { banner } from "./banner.ts";
import { DataDirectory, type RuntimeFile } from "./data-directory.ts";
import { messageOf, StartFailure } from "./failure.ts";
import {
  ownPaymentGateway,
  PAYMENT_GATEWAY,
  type PaymentGatewayAccess,
  paymentGatewayProcess,
} from "./payment-gateway.ts";
import {
  ROLE_START_ORDER,
  ROLE_STOP_ORDER,
  type RoleEntries,
  type RoleFacts,
  roleEnvironment,
  roleProcess,
} from "./roles.ts";
import { loadSecrets, markAdminPasswordShown } from "./secrets.ts";
import { type Servers, startServers } from "./servers.ts";
import { onStopSignal } from "./stop-signal.ts";
import { type ProcessSpec, SupervisedProcess } from "./supervisor.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What an instance is made of, beside its servers. */
export type InstanceParts = {
  roles: RoleEntries;
  /** Entry of the simulated payment provider; without it the worker is its own. */
  paymentGateway?: string;
  /** Brings the database to this version's schema. */
  migrate(databaseUrl: string): Promise<void>;
  /** Gives a new instance something to sell. */
  seed(servers: Servers, config: Config): Promise<void>;
};

/** Servers are started in this order, and stopped in it too: nothing writes any more by then. */
const SERVERS = ["Redis", "Postgres"] as const;

/** Runs an instance until it is told to stop or cannot go on. Resolves to the exit code; prints what went wrong. */
export async function runInstance(env: Environment, parts: InstanceParts): Promise<number> {
  const instance = new Instance();
  const ignoreSignals = onStopSignal({
    first: () => instance.requestStop(),
    again: () => instance.killAll(),
  });
  try {
    await instance.start(env, parts);
    return await instance.untilStopped();
  } catch (error) {
    if (!instance.stopRequested) say(explain(error));
    return instance.stopRequested ? 0 : 1;
  } finally {
    await instance.stop();
    ignoreSignals();
  }
}

class Instance {
  readonly #processes = new Map<string, SupervisedProcess>();
  readonly #ended = Promise.withResolvers<number>();
  #starting: SupervisedProcess | undefined;
  #directory: DataDirectory | undefined;
  #publish: () => void = () => undefined;
  #stopRequested = false;

  get stopRequested(): boolean {
    return this.#stopRequested;
  }

  async start(env: Environment, parts: InstanceParts): Promise<void> {
    const config = loadConfig(env);
    const directory = DataDirectory.open(config.dataDir, localUrl(config.host, config.port));
    this.#directory = directory;
    // Any free one is the API's own to choose: between a choice here and its start another process could take it.
    if (config.roles.includes("api")) await usablePort(config.host, config.port);
    const { port } = config;
    await endLeftovers(directory);
    const secrets = loadSecrets(directory);

    const servers = await startServers(config, directory, secrets, (spec) => this.#run(spec));
    await this.#stage("Migrating the database", () => parts.migrate(servers.databaseUrl));
    await this.#stage("Seeding the catalogue", () => parts.seed(servers, config));
    const { paymentWebhook } = secrets;
    const paymentGateway = await this.#startPaymentGateway(parts.paymentGateway, config, servers, paymentWebhook, env);
    const proofKeyFile = ownProofKey(config, directory);
    const facts = { env, config, port, dataDirectory: directory.path, secrets, servers, paymentGateway, proofKeyFile };
    const apiUrl = await this.#startRoles(parts.roles, facts);

    this.#publish = () => directory.publishRuntime(runtimeFile(apiUrl, servers, paymentGateway, this.#processes));
    this.#publish();
    const newPassword = secrets.adminPasswordShown || config.adminPassword ? undefined : servers.generatedAdminPassword;
    process.stdout.write(banner({ apiUrl, dataDirectory: directory.path, adminEmail: config.adminEmail, newPassword }));
    if (newPassword) markAdminPasswordShown(directory, secrets);
  }

  /** Resolves to the exit code when the instance is told to stop (0) or cannot go on (1). */
  untilStopped(): Promise<number> {
    return this.#ended.promise;
  }

  requestStop(): void {
    this.#stopRequested = true;
    say("Stopping ... (Ctrl-C again to force)");
    this.#ended.resolve(0);
    void this.#starting?.stop();
  }

  async stop(): Promise<void> {
    this.#publish = () => undefined;
    this.#directory?.withdrawRuntime();
    for (const name of [...ROLE_STOP_ORDER, PAYMENT_GATEWAY, ...SERVERS]) await this.#processes.get(name)?.stop();
    this.#directory?.close();
  }

  /** Servers survive being killed (both recover from their logs); this is for whoever cannot wait. */
  killAll(): never {
    for (const supervised of this.#processes.values()) supervised.kill();
    say("Killed.");
    process.exit(130);
  }

  async #startPaymentGateway(
    entry: string | undefined,
    config: Config,
    servers: Servers,
    webhookSecret: string,
    env: Environment,
  ): Promise<PaymentGatewayAccess | undefined> {
    if (entry === undefined) return undefined;
    const access = ownPaymentGateway(config, servers.paymentGatewayPort, webhookSecret);
    if (!access) return undefined;
    await this.#run(paymentGatewayProcess(entry, access, servers.databaseUrl, env));
    return access;
  }

  /** Resolves to the URL of the API, or null when this instance runs none. */
  async #startRoles(entries: RoleEntries, facts: RoleFacts): Promise<string | null> {
    const { roles, host } = facts.config;
    let apiUrl = roles.includes("api") ? localUrl(host, facts.port) : null;
    for (const role of ROLE_START_ORDER.filter((role) => roles.includes(role))) {
      const environment = roleEnvironment(role, facts);
      const onReady = ({ url }: { url?: string }) => {
        if (role !== "api" || url === undefined) return;
        apiUrl = url;
        // Started again, it is to be found where it was.
        if (facts.port === 0) environment["PORT"] = new URL(url).port;
      };
      await this.#run(roleProcess(role, entries[role], environment, onReady));
    }
    return apiUrl;
  }

  async #run(spec: ProcessSpec): Promise<void> {
    const supervised = new SupervisedProcess(spec, {
      started: (name, pid) => {
        this.#directory?.recordProcess(name, pid, spec.stopSignal);
        this.#publish();
      },
      died: (name, how, restartInMs) =>
        say(`${name} ended unexpectedly (${how}); starting it again in ${restartInMs} ms.`),
      recovered: (name) => say(`${name} is back.`),
      failed: (name, reason) => {
        say(`Giving up on ${name}: it ${reason}. Stopping everything.`);
        this.#ended.resolve(1);
      },
    });
    this.#processes.set(spec.name, supervised);
    this.#starting = supervised;
    await this.#stage(`Starting ${spec.name}`, () => supervised.start());
    this.#starting = undefined;
  }

  async #stage(label: string, work: () => Promise<void>): Promise<void> {
    if (this.#stopRequested) throw new StartFailure("Stopped.");
    say(`${label} ...`);
    try {
      await work();
    } catch (error) {
      throw error instanceof StartFailure ? error : new StartFailure(`${label} failed: ${messageOf(error)}`);
    }
    if (this.#stopRequested) throw new StartFailure("Stopped.");
  }
}

/** Made at the first start. On servers of others each machine would make one of its own: there it has to be given. */
function ownProofKey({ proofSigningKey, redisUrl, databaseUrl }: Config, directory: DataDirectory): string | undefined {
  if (proofSigningKey !== undefined || (redisUrl !== undefined && databaseUrl !== undefined)) return undefined;
  loadSigningKey({ dataDir: directory.path });
  return directory.file(PRIVATE_KEY_FILE);
}

async function endLeftovers(directory: DataDirectory): Promise<void> {
  const ended = await directory.endLeftovers();
  if (ended.length > 0) say(`Ended what a killed instance had left running: ${ended.join(", ")}.`);
}

function runtimeFile(
  apiUrl: string | null,
  servers: Servers,
  paymentGateway: PaymentGatewayAccess | undefined,
  processes: Map<string, SupervisedProcess>,
): RuntimeFile {
  const pids: Record<string, number> = { supervisor: process.pid };
  for (const [name, { pid }] of processes) if (pid !== undefined) pids[name.toLowerCase()] = pid;
  const { redisUrl, databaseUrl } = servers;
  const provider = paymentGateway && { url: paymentGateway.url, key: paymentGateway.key };
  return { apiUrl, redisUrl, databaseUrl, ...(provider && { paymentGateway: provider }), pids };
}

function explain(error: unknown): string {
  if (error instanceof StartFailure || error instanceof ConfigError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

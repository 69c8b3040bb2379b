// The simulated payment provider as a process of its own, on a test file's database: started again on its port after a
// kill, and asked as any HTTP client would.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, type ServerSpec } from "../../runtime/embedded/server.ts";
import { launch, type RunningServer } from "../support/launch.ts";

const ENTRY = fileURLToPath(new URL("../../persister/jobs/gateway/provider/main.ts", import.meta.url));

export const API_KEY = "a key that only tests have";

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export interface GatewayProcess {
  readonly url: string;
  /** Asks with the API key; `body` is sent as it is when it is a string. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again after `kill`. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param settings further environment */
export async function startGatewayProcess(
  databaseUrl: string,
  settings: Record<string, string> = {},
): Promise<GatewayProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const folder = mkdtempSync(path.join(tmpdir(), "onrush-test-gateway-"));
  const logFile = path.join(folder, "gateway.log");
  const env = {
    PATH: process.env["PATH"],
    DATABASE_URL: databaseUrl,
    PORT: String(port),
    PAYMENT_GATEWAY_KEY: API_KEY,
    ...settings,
  };
  const spec: ServerSpec = {
    name: "The payment gateway",
    port,
    logFile,
    spawn: () => {
      const log = openSync(logFile, "a");
      return spawn(process.execPath, [ENTRY], { env, detached: true, stdio: ["ignore", log, log] });
    },
    async probe() {
      if (!(await fetch(`${url}/healthz`)).ok) throw new Error("not healthy");
    },
    stopSignal: "SIGTERM",
    stopTimeoutMs: 10_000,
  };
  let running: RunningServer = await launch(spec);
  return {
    url,
    async ask(method, route, body, headers = {}) {
      const response = await fetch(`${url}${route}`, {
        method,
        headers: { authorization: `Bearer ${API_KEY}`, ...headers },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    kill: () => running.kill(),
    async restart() {
      running = await launch(spec);
    },
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

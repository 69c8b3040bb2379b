// The receiving end of webhooks for tests: a process that can be killed, and what it was sent, verified by the convention's own
// library.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Webhook } from "standardwebhooks";
import { afterAll } from "vitest";
import { freePort } from "../../runtime/embedded/server.ts";
import { scratchFolder } from "../support/scratch.ts";

const ENTRY = fileURLToPath(new URL("./webhook-receiver-process.ts", import.meta.url));

export interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What it was answered. */
  readonly status: number;
}

export interface WebhookEventBody {
  readonly type: string;
  readonly timestamp: string;
  readonly data: { readonly orderTrackingId: string; readonly status: string; readonly version: number } & Record<
    string,
    unknown
  >;
}

export interface WebhookReceiver {
  /** Ends in a path of this receiver's own. */
  readonly url: string;
  /** Everything that came, in its order. */
  received(): Received[];
  /** What was taken at this URL of it, by event id: the first time that it came. */
  taken(at?: string): Map<string, Received>;
  /** The status of every answer from now on; 0: none is given. */
  answer(status: number): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  /** On the same port, after a kill. */
  restart(): Promise<void>;
}

/** Starts one for a test file; ended with it. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const folder = scratchFolder("webhooks");
  const file = path.join(folder, "received.jsonl");
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const start = async () => {
    child = spawn(process.execPath, [ENTRY, String(port), file], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    await once(child, "message");
  };
  const kill = async () => {
    if (!child) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    child = undefined;
    await gone;
  };
  await start();
  afterAll(async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  const received = () =>
    existsSync(file)
      ? readFileSync(file, "utf8")
          .split("\n")
          .filter((line) => line.endsWith("}"))
          .map((line) => JSON.parse(line) as Received)
      : [];
  return {
    url: `${base}/hooks`,
    received,
    taken(at = `${base}/hooks`) {
      const { pathname } = new URL(at);
      const taken = new Map<string, Received>();
      for (const one of received()) {
        const id = one.headers["webhook-id"] ?? "";
        if (one.path !== pathname) continue;
        if (one.status >= 200 && one.status < 300 && !taken.has(id)) taken.set(id, one);
      }
      return taken;
    },
    async answer(status) {
      await fetch(base, { method: "PUT", body: String(status) });
    },
    kill,
    restart: start,
  };
}

/** The event, as a receiver with this secret reads it. @throws what the library throws when it was signed by another */
export function verified(secret: string, { headers, body }: Received): WebhookEventBody {
  return new Webhook(secret).verify(body, { ...headers }) as WebhookEventBody;
}

// The buyers' way to the shop: HTTP over a bounded number of connections that stay open. An answer that does not come is a
// value and not an exception: to a buyer it is a thing that happens.
import { Agent, type IncomingMessage, request } from "node:http";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Undefined when there was none, or none that is JSON. */
  readonly body: unknown;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A sale's answer is there in milliseconds; this is how long a buyer stares at a page that does not load. */
const TIMEOUT_MS = 5_000;

export class HttpClient {
  readonly #origin: URL;
  readonly #agent: Agent;

  constructor(origin: string, connectionsMax: number) {
    this.#origin = new URL(origin);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connectionsMax });
  }

  /** Resolves to `undefined` when there was no answer: refused, cut, or not in time. */
  send({ method, path, headers, body }: HttpRequest): Promise<HttpAnswer | undefined> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve) => {
      const outgoing = request(
        new URL(path, this.#origin),
        {
          method,
          agent: this.#agent,
          headers: {
            ...headers,
            ...(text !== undefined && {
              "content-type": "application/json",
              "content-length": Buffer.byteLength(text),
            }),
          },
          timeout: TIMEOUT_MS,
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.on("error", () => resolve(undefined));
          incoming.on("end", () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: parse(chunks) }),
          );
          incoming.on("close", () => resolve(undefined)); // after "end" this changes nothing
        },
      );
      outgoing.on("timeout", () => outgoing.destroy());
      outgoing.on("error", () => resolve(undefined));
      outgoing.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function parse(chunks: readonly Buffer[]): unknown {
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
  } catch {
    return undefined;
  }
}

/** The member of a JSON object, or undefined. */
export function member(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null ? (body as Record<string, unknown>)[name] : undefined;
}

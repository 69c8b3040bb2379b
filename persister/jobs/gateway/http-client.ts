// JSON calls to one server, over bounded connections that stay open. Node's own client and not `fetch`: a call costs about
// a third of the processor's time (135 against 397 µs), redirects are not followed with an API key in hand, and it tells
// whether a call that failed can have reached the server at all.
import http from "node:http";
import https from "node:https";

/** An answer, whatever its status. `body` is undefined when it is not JSON. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** No answer came. */
export class HttpCallError extends Error {
  /** A word for what happened, e.g. `ECONNRESET`. */
  readonly code: string;
  /** False: not a byte of the call left this process, so the server has not heard of it. */
  readonly sent: boolean;

  constructor(code: string, sent: boolean) {
    super(`no answer: ${code}`);
    this.name = "HttpCallError";
    this.code = code;
    this.sent = sent;
  }
}

export interface HttpCall {
  readonly method: "GET" | "POST";
  /** Appended to the server's URL; percent-encoded. */
  readonly path: string;
  readonly idempotencyKey?: string;
  /** Further ones. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes are JSON already. */
  readonly body?: unknown;
  /** The caller's own patience, besides the client's. */
  readonly signal?: AbortSignal;
}

export interface HttpClient {
  /** @throws HttpCallError when no whole answer came within the time limit */
  call(call: HttpCall): Promise<HttpAnswer>;
  /** Cuts every connection. */
  close(): void;
}

export interface HttpClientOptions {
  /** May end in a path. */
  readonly url: string;
  readonly apiKey?: string;
  readonly timeoutMs: number;
  /** Further calls wait for a connection, within their time. */
  readonly connectionsMax: number;
}

/** A connection that does not stand by then is given up, well before the patience of whoever calls. */
const CONNECT_TIMEOUT_MS = 3_000;
const ANSWER_BYTES_MAX = 1_024 * 1_024;
/** Shorter than what servers keep idle connections: no call is to meet a closing one. */
const IDLE_MS = 4_000;
/** What happens before a connection stands. */
export const UNCONNECTED: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

export function openHttpClient({ url, apiKey, timeoutMs, connectionsMax }: HttpClientOptions): HttpClient {
  const base = new URL(url);
  const { request, Agent } = base.protocol === "https:" ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax, timeout: IDLE_MS, scheduling: "lifo" });
  const prefix = base.pathname.replace(/\/$/, "");
  const at = { protocol: base.protocol, hostname: unbracketed(base.hostname), port: base.port };
  const authorization = apiKey === undefined ? undefined : `Bearer ${apiKey}`;

  const call = ({ method, path, idempotencyKey, headers: further, body, signal }: HttpCall) =>
    new Promise<HttpAnswer>((resolve, reject) => {
      const payload = payloadOf(body);
      const headers = {
        ...(authorization !== undefined && { authorization }),
        ...further,
        ...(payload && { "content-type": "application/json", "content-length": payload.length }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      };
      const sending = request({ ...at, agent, method, path: prefix + path, headers });
      const giveUp = (code: string) => {
        // Without a socket it was still waiting for one.
        fail(new HttpCallError(code, sending.socket !== null && !sending.socket.connecting));
        sending.destroy();
      };
      const timer = setTimeout(giveUp, timeoutMs, "timeout");
      const onAbort = () => giveUp("aborted");
      let connecting: NodeJS.Timeout | undefined;
      const settle = () => {
        clearTimeout(timer);
        clearTimeout(connecting);
        signal?.removeEventListener("abort", onAbort);
      };
      const fail = (error: HttpCallError) => {
        settle();
        reject(error);
      };
      const onError = (error: NodeJS.ErrnoException) => {
        const code = error.code ?? "connection_error";
        fail(new HttpCallError(code, !UNCONNECTED.has(code)));
      };
      sending.on("error", onError);
      sending.once("socket", (socket) => {
        if (!socket.connecting) return;
        connecting = setTimeout(giveUp, Math.min(CONNECT_TIMEOUT_MS, timeoutMs), "connect_timeout");
        socket.once("connect", () => clearTimeout(connecting));
      });
      sending.on("response", (response) => {
        readAnswer(response).then((answer) => {
          settle();
          resolve(answer);
        }, onError);
      });
      if (signal?.aborted) onAbort();
      else signal?.addEventListener("abort", onAbort, { once: true });
      sending.end(payload);
    });
  return { call, close: () => agent.destroy() };
}

function payloadOf(body: unknown): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(JSON.stringify(body));
}

async function readAnswer(response: http.IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw Object.assign(new Error("too long an answer"), { code: "answer_too_long" });
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: parseJson(Buffer.concat(chunks).toString()) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unbracketed(hostname: string): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

// Sends one webhook to wherever an operator said. The place is not trusted:
//   - a name is resolved once a connection, every address that comes back is judged, and the connection goes to one of those
//     very addresses, so that no name can resolve to something else a moment later,
//   - redirects are not followed: they would lead past that judgement,
//   - an answer has its time and its size; nothing of it is kept but its status.
import { lookup } from "node:dns/promises";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { isPublicAddress, literalAddressOf } from "../../../engine/webhooks/address.ts";

/** What a name resolves to. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface SenderOptions {
  /** Private addresses and plain http, too. */
  readonly allowPrivate: boolean;
  /** From the look-up of the name to the end of the answer. */
  readonly timeoutMs: number;
  /** Otherwise as the machine resolves names. */
  readonly resolve?: Resolve;
}

export interface Sent {
  /** Null: there was no answer. */
  readonly status: number | null;
  /** Null: it was taken, by a 2xx. Otherwise a word for why not: `http_503`, `timeout`, `private_address`, `ECONNREFUSED`. */
  readonly error: string | null;
}

export interface Sender {
  /** Never rejects. */
  send(url: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Sent>;
  /** Cuts every connection. */
  close(): void;
}

/** What is read of an answer, so that its connection can be used again. */
const ANSWER_BYTES_MAX = 16 * 1_024;
/** Shorter than what servers keep idle connections: no delivery is to meet a closing one. */
const IDLE_MS = 4_000;
/** Idle connections that are kept to one server. */
const IDLE_CONNECTIONS_MAX = 16;
const PRIVATE = "private_address";
const USER_AGENT = "Onrush-Webhooks/1";

export function openSender({ allowPrivate, timeoutMs, resolve = resolveByMachine }: SenderOptions): Sender {
  const checkedLookup: net.LookupFunction = (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: net.isIP(address) }));
        const [first] = found;
        if (!first || found.some(({ family }) => family === 0)) return callback(failure("ENOTFOUND"), "", 0);
        if (!allowPrivate && !addresses.every(isPublicAddress)) return callback(failure(PRIVATE), "", 0);
        return options.all ? callback(null, found) : callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, "", 0),
    );
  };
  const options = { keepAlive: true, maxFreeSockets: IDLE_CONNECTIONS_MAX, timeout: IDLE_MS, lookup: checkedLookup };
  const agents = { "http:": new http.Agent(options), "https:": new https.Agent(options) } as const;

  /** Addresses in the URL itself are never looked up. */
  function problemOf(url: URL): string | undefined {
    if (url.protocol !== "http:" && url.protocol !== "https:") return "not_http";
    if (allowPrivate) return undefined;
    if (url.protocol !== "https:") return "not_https";
    const literal = literalAddressOf(url);
    return literal !== undefined && !isPublicAddress(literal) ? PRIVATE : undefined;
  }

  return {
    send: (text, headers, body) =>
      new Promise<Sent>((settle) => {
        const url = URL.parse(text);
        const problem = url ? problemOf(url) : "not_a_url";
        if (!url || problem) return settle({ status: null, error: problem ?? null });
        const { request } = url.protocol === "https:" ? https : http;
        let status: number | null = null;
        let failed = "no_answer";
        const sending = request(url, {
          agent: agents[url.protocol as keyof typeof agents],
          method: "POST",
          headers: {
            ...{ "content-type": "application/json", "content-length": body.length, "user-agent": USER_AGENT },
            ...headers,
          },
        });
        const timer = setTimeout(() => {
          failed = "timeout";
          sending.destroy();
          end();
        }, timeoutMs);
        const end = () => {
          clearTimeout(timer);
          const taken = status !== null && status >= 200 && status < 300;
          settle({ status, error: taken ? null : status === null ? failed : `http_${status}` });
        };
        sending.on("error", (error: NodeJS.ErrnoException) => {
          if (failed === "no_answer") failed = error.code ?? "connection_error";
          end();
        });
        sending.on("response", (response) => {
          status = response.statusCode ?? null;
          let bytes = 0;
          response.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > ANSWER_BYTES_MAX) response.destroy();
          });
          response.on("error", () => undefined); // cut off: the status has been said
          response.on("close", end);
        });
        sending.end(body);
      }),
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

async function resolveByMachine(hostname: string): Promise<string[]> {
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}

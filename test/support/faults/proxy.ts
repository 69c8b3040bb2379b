// A TCP proxy that does to one connection path what networks do: cuts it, goes silent, delays it, or loses the answer to one
// request. It counts what it did, because a fault that did not happen proves nothing.
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** `pass`: as if it were not there. `refuse`: every connection ends at once. `silent`: bytes vanish, nothing is closed. */
export type ProxyMode = "pass" | "refuse" | "silent";

/** A request, known by bytes that stand within one write of it. */
export interface RequestFault {
  readonly request: string;
  readonly times: number;
  /** Lets so many pass first; default: none. */
  readonly after?: number;
  /** Only where these bytes went before it on the same connection, after the last such request: COMMIT of what? */
  readonly following?: string;
  /** Called the moment the answer that is to be lost is seen: it was given, and nobody has heard it. */
  readonly onAnswer?: () => unknown;
  /** Called with the bytes of each request that was hit, after its answer was lost. */
  readonly onHit?: (bytes: Buffer) => unknown;
}

export interface FaultCounts {
  /** Answers that were lost after the server had given them. */
  lost: number;
  /** Requests that never arrived, their connections cut. */
  cut: number;
  /** Connections refused. */
  refused: number;
  /** Writes, either way, that vanished. */
  swallowed: number;
  /** Writes, either way, that were held up. */
  delayed: number;
}

/** After an answer was seen, the server gets this long to finish what was sent along with the request. */
const SETTLE_MS = 15;
/** An answer that is to be lost and does not come: the connection is cut all the same. */
const LOST_ANSWER_WAIT_MS_MAX = 5_000;

export class FaultProxy {
  readonly counts: FaultCounts = { lost: 0, cut: 0, refused: 0, swallowed: 0, delayed: 0 };
  #upstreamPort: number;
  readonly #server: net.Server;
  readonly #links = new Set<() => void>();
  #port = 0;
  #mode: ProxyMode = "pass";
  #delayMs = 0;
  #loseAnswers: Target | undefined;
  #cutBefore: Target | undefined;

  private constructor(upstreamPort: number) {
    this.#upstreamPort = upstreamPort;
    this.#server = net.createServer((client) => this.#link(client));
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(upstreamPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstreamPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.#port = (proxy.#server.address() as net.AddressInfo).port;
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** `refuse` also cuts what is open. */
  setMode(mode: ProxyMode): void {
    this.#mode = mode;
    if (mode === "refuse") this.cutAll();
  }

  /** Holds every write up for so long, in both directions; 0: no longer. Order is kept. */
  setDelay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Lets the request through, loses what is answered on its connection from then on, and cuts that connection. */
  loseAnswersTo(fault: RequestFault): void {
    this.#loseAnswers = new Target(fault);
  }

  /** Cuts the connection of the request, which does not arrive. */
  cutBefore(fault: RequestFault): void {
    this.#cutBefore = new Target(fault);
  }

  /** Leads to another server from now on; what is open is cut. */
  redirect(upstreamPort: number): void {
    this.#upstreamPort = upstreamPort;
    this.cutAll();
  }

  /** Ends every open connection. */
  cutAll(): void {
    for (const cut of this.#links) cut();
  }

  /** Undoes every fault; what is open and was silent is cut, as its peers have lost each other's bytes. */
  heal(): void {
    const wasSilent = this.#mode === "silent";
    this.#mode = "pass";
    this.#delayMs = 0;
    this.#loseAnswers = undefined;
    this.#cutBefore = undefined;
    if (wasSilent) this.cutAll();
  }

  async stop(): Promise<void> {
    this.cutAll();
    this.#server.close();
    await once(this.#server, "close");
  }

  #link(client: net.Socket): void {
    client.setNoDelay();
    if (this.#mode === "refuse") {
      this.counts.refused += 1;
      client.on("error", () => undefined).destroy();
      return;
    }
    const upstream = net.connect({ port: this.#upstreamPort, host: "127.0.0.1", noDelay: true });
    const cut = () => {
      this.#links.delete(cut);
      client.destroy();
      upstream.destroy();
    };
    this.#links.add(cut);
    for (const socket of [client, upstream]) socket.on("error", cut).on("close", cut);
    const link: Link = { upstream, cut, losing: undefined };
    const toServer = this.#lane((chunk) => this.#onRequest(chunk, link));
    const toClient = this.#lane((chunk) => {
      if (link.losing) link.losing(true);
      else client.write(chunk);
    });
    client.on("data", toServer);
    upstream.on("data", toClient);
  }

  #onRequest(chunk: Buffer, link: Link): void {
    const cutting = this.#cutBefore;
    if (cutting?.hits(chunk, link)) {
      this.counts.cut += 1;
      link.cut();
      cutting.fault.onHit?.(chunk);
      return;
    }
    const losing = this.#loseAnswers;
    if (losing && !link.losing && losing.hits(chunk, link)) {
      link.losing = this.#loseAnswer(losing.fault, chunk, link.cut);
    }
    link.upstream.write(chunk);
  }

  #loseAnswer(fault: RequestFault, chunk: Buffer, cut: () => void): (answered: boolean) => void {
    let ended = false;
    const end = (answered: boolean) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      if (answered) fault.onAnswer?.();
      setTimeout(() => {
        if (answered) this.counts.lost += 1;
        cut();
        fault.onHit?.(chunk);
      }, SETTLE_MS);
    };
    const timer = setTimeout(() => end(false), LOST_ANSWER_WAIT_MS_MAX);
    return end;
  }

  /** One direction of one connection: applies silence and delay, and keeps the order. */
  #lane(deliver: (chunk: Buffer) => void): (chunk: Buffer) => void {
    let last = Promise.resolve();
    let waiting = 0;
    return (chunk) => {
      if (this.#mode === "silent") {
        this.counts.swallowed += 1;
        return;
      }
      if (this.#delayMs === 0 && waiting === 0) {
        deliver(chunk);
        return;
      }
      this.counts.delayed += 1;
      waiting += 1;
      const due = sleep(this.#delayMs);
      last = last.then(async () => {
        await due;
        waiting -= 1;
        deliver(chunk);
      });
    };
  }
}

interface Link {
  readonly upstream: net.Socket;
  readonly cut: () => void;
  /** Told of the answer that is to be lost, or of its absence. */
  losing: ((answered: boolean) => void) | undefined;
}

/** Counts down which requests a fault means. */
class Target {
  readonly fault: RequestFault;
  /** Connections on which `following` went by since their last request of the kind. */
  readonly #led = new WeakSet<Link>();
  #spared: number;
  #left: number;

  constructor(fault: RequestFault) {
    this.fault = fault;
    this.#spared = fault.after ?? 0;
    this.#left = fault.times;
  }

  hits(chunk: Buffer, link: Link): boolean {
    if (this.#left === 0) return false;
    if (!chunk.includes(this.fault.request)) {
      if (this.fault.following !== undefined && chunk.includes(this.fault.following)) this.#led.add(link);
      return false;
    }
    if (this.fault.following !== undefined && !this.#led.delete(link)) return false;
    if (this.#spared > 0) {
      this.#spared -= 1;
      return false;
    }
    this.#left -= 1;
    return true;
  }
}

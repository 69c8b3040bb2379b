// A TCP proxy in front of a Redis that loses answers: what the server did stands, and the caller does not learn of it. Or
// it keeps a call back, which reaches the server when the caller has long given its connection up.
import { once } from "node:events";
import net from "node:net";

export interface ReplyProxy {
  readonly port: number;
  /** How many answers were lost so far: a test that needs the fault asserts that it happened. */
  readonly lost: number;
  /** Loses the next answer and cuts its connection, after `before` has ended. */
  loseNextReply(before?: () => Promise<unknown>): void;
  /** Keeps the next call back and cuts the caller off. @returns delivers the call; resolves when the server has answered it */
  delayNextCall(): () => Promise<void>;
  /** From now on no answer comes through, and no connection is cut. */
  goSilent(): void;
  stop(): Promise<void>;
}

export async function startReplyProxy(upstreamPort: number): Promise<ReplyProxy> {
  const sockets = new Set<net.Socket>();
  let lost = 0;
  let loseNext: (() => Promise<unknown>) | undefined;
  let silent = false;
  let delayNext: ((call: Buffer, client: net.Socket, upstream: net.Socket) => void) | undefined;
  const server = net.createServer((client) => {
    const upstream = net.connect(upstreamPort, "127.0.0.1");
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on("data", (chunk: Buffer) => {
      const delay = delayNext;
      delayNext = undefined;
      if (delay) delay(chunk, client, upstream);
      else upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (silent || loseNext) lost += 1;
      if (silent) return;
      const before = loseNext;
      loseNext = undefined;
      if (before) void before().finally(cut);
      else client.write(chunk);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as net.AddressInfo).port,
    get lost() {
      return lost;
    },
    loseNextReply: (before = async () => undefined) => {
      loseNext = before;
    },
    delayNextCall: () => {
      let deliver: (() => Promise<void>) | undefined;
      delayNext = (call, client, upstream) => {
        client.removeAllListeners("close"); // its end must not take the way to the server along
        upstream.removeAllListeners("data");
        deliver = async () => {
          const answered = once(upstream, "data");
          upstream.write(call);
          await answered;
        };
        client.destroy();
      };
      return async () => {
        if (!deliver) throw new Error("no call came to be delayed");
        await deliver();
      };
    },
    goSilent: () => {
      silent = true;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

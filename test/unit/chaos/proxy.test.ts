// The fault proxy: it does what it is told, to what it is told, and counts it.
import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FaultProxy } from "../../support/faults/proxy.ts";

let server: net.Server;
let proxy: FaultProxy;
let received: string[];

beforeEach(async () => {
  received = [];
  server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      received.push(chunk.toString());
      socket.write(`re: ${chunk.toString()}`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await FaultProxy.start((server.address() as net.AddressInfo).port);
});
afterEach(async () => {
  await proxy.stop();
  server.close();
});

describe("a fault proxy", () => {
  it("passes both ways until told otherwise", async () => {
    const client = await dial();
    expect(await client.ask("hello")).toBe("re: hello");
    expect(proxy.counts).toEqual({ lost: 0, cut: 0, refused: 0, swallowed: 0, delayed: 0 });
  });

  it("loses the answer to one request, after the server has given it, and cuts its connection", async () => {
    const client = await dial();
    const bystander = await dial();
    proxy.loseAnswersTo({ request: "COMMIT", times: 1 });
    expect(await client.ask("SELECT")).toBe("re: SELECT");
    expect(await client.ask("COMMIT")).toBe("closed");
    expect(received).toContain("COMMIT");
    expect(proxy.counts.lost).toBe(1);
    expect(await bystander.ask("COMMIT")).toBe("re: COMMIT");
  });

  it("tells of an answer the moment it is seen, before anybody can have heard it", async () => {
    const client = await dial();
    let heard = false;
    const seen = new Promise<boolean>((resolve) =>
      proxy.loseAnswersTo({ request: "EVALSHA", times: 1, onAnswer: () => resolve(heard) }),
    );
    const answer = client.ask("EVALSHA").then((text) => {
      heard = true;
      return text;
    });
    expect(await seen).toBe(false);
    expect(received).toEqual(["EVALSHA"]);
    expect(await answer).toBe("closed");
  });

  it("knows a request by what went before it on its connection", async () => {
    const [client, bystander] = [await dial(), await dial()];
    proxy.cutBefore({ request: "COMMIT", following: "UPDATE", times: 1 });
    expect(await client.ask("SELECT")).toBe("re: SELECT");
    expect(await client.ask("COMMIT")).toBe("re: COMMIT");
    expect(await client.ask("UPDATE")).toBe("re: UPDATE");
    expect(await bystander.ask("COMMIT")).toBe("re: COMMIT");
    expect(await client.ask("COMMIT")).toBe("closed");
    expect(proxy.counts.cut).toBe(1);
  });

  it("leads to another server when told to, and cuts what is open", async () => {
    const other = net.createServer((socket) => void socket.on("error", () => undefined).end("other"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const client = await dial();
    expect(await client.ask("hello")).toBe("re: hello");
    proxy.redirect((other.address() as net.AddressInfo).port);
    expect(await client.closed).toBe("closed");
    const next = await dial();
    expect(await next.until("other")).toBe("other");
    other.close();
  });

  it("cuts before a request arrives, after those that it lets pass", async () => {
    const client = await dial();
    proxy.cutBefore({ request: "COMMIT", after: 1, times: 1 });
    expect(await client.ask("first COMMIT")).toBe("re: first COMMIT");
    expect(await client.ask("COMMIT")).toBe("closed");
    expect(received).toEqual(["first COMMIT"]);
    expect(proxy.counts.cut).toBe(1);
  });

  it("refuses and cuts, and passes again when healed", async () => {
    const client = await dial();
    proxy.setMode("refuse");
    expect(await client.closed).toBe("closed");
    const refused = await dial();
    expect(await refused.closed).toBe("closed");
    expect(proxy.counts.refused).toBe(1);
    proxy.heal();
    expect(await (await dial()).ask("hello")).toBe("re: hello");
  });

  it("swallows everything in silence; what was open is cut when it heals", async () => {
    const client = await dial();
    proxy.setMode("silent");
    const answer = client.ask("hello");
    while (proxy.counts.swallowed === 0) await new Promise(setImmediate);
    expect(received).toEqual([]);
    proxy.heal();
    expect(await answer).toBe("closed");
  });

  it("delays, and keeps the order", async () => {
    const client = await dial();
    proxy.setDelay(20);
    const answers = client.until("two");
    client.send("one ");
    while (proxy.counts.delayed === 0) await new Promise(setImmediate);
    client.send("two");
    expect((await answers).replaceAll("re: ", "")).toBe("one two");
    expect(proxy.counts.delayed).toBeGreaterThanOrEqual(2);
  });
});

async function dial() {
  const socket = net.connect(proxy.port, "127.0.0.1");
  socket.on("error", () => undefined);
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve("closed")));
  await Promise.race([once(socket, "connect"), closed]);
  const until = (ending: string) =>
    Promise.race([
      closed,
      new Promise<string>((resolve) => {
        let text = "";
        socket.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          if (text.endsWith(ending)) resolve(text);
        });
      }),
    ]);
  return {
    closed,
    until,
    send: (text: string) => void socket.write(text),
    ask(text: string) {
      const answer = until(text);
      socket.write(text);
      return answer;
    },
  };
}

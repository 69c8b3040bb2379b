// What the sender of webhooks does at hostile places: real sockets, a real name server, names that lie.

import dgram from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { openSender, type Resolve, type Sender } from "../../persister/jobs/webhooks/sender.ts";

const BODY = Buffer.from("{}");
const reached: string[] = [];

const target = http.createServer((request, response) => {
  reached.push(request.url ?? "");
  const path = request.url ?? "";
  if (path.startsWith("/redirect")) response.writeHead(Number(path.slice(10, 13)), { location: "/landed" }).end();
  else if (path === "/endless") {
    response.writeHead(200);
    const chunk = Buffer.alloc(65_536);
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on("drain", more);
    more();
  } else if (path === "/dripping") {
    response.writeHead(200);
    response.write("x");
  } else if (path === "/silent") request.resume();
  else if (path === "/cut") request.socket.destroy();
  else response.writeHead(Number(path.slice(1)) || 204).end();
});
const garbage = net.createServer((socket) => socket.end("SSH-2.0-x\r\n"));
await Promise.all([
  once(target.listen(0, "127.0.0.1"), "listening"),
  once(garbage.listen(0, "127.0.0.1"), "listening"),
]);
const { port } = target.address() as AddressInfo;

// A name server of the tests' own. Answers A and AAAA of the names it knows, in turn where there are several answers.
const zone = new Map<string, string[][]>();
const asked: string[] = [];
const names = dgram.createSocket("udp4");
names.on("message", (query, from) => names.send(answerTo(query), from.port, from.address));
await once(names.bind(0, "127.0.0.1"), "listening");
const resolver = new Resolver({ timeout: 2_000, tries: 1 });
resolver.setServers([`127.0.0.1:${names.address().port}`]);
const resolve: Resolve = async (name) => {
  asked.push(name);
  const answers = zone.get(name);
  const now = (answers && answers.length > 1 ? answers.shift() : answers?.[0]) ?? [];
  current.set(name, now);
  const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  return found.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
};
const current = new Map<string, readonly string[]>();

const open: Sender[] = [];
function sender(allowPrivate: boolean, timeoutMs = 5_000): Sender {
  const made = openSender({ allowPrivate, timeoutMs, resolve });
  open.push(made);
  return made;
}
const guarded = sender(false);
const free = sender(true);

beforeEach(() => {
  reached.length = 0;
  asked.length = 0;
});
afterAll(() => {
  for (const one of open) one.close();
  target.closeAllConnections();
  target.close();
  garbage.close();
  names.close();
});

describe("where it may not go", () => {
  it.each([
    ["127.0.0.1"],
    ["10.0.0.8"],
    ["169.254.169.254"],
    ["100.64.0.1"],
    ["::1"],
    ["fe80::1"],
    ["fd00:ec2::254"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["8.8.8.8", "127.0.0.1"],
    ["2606:4700:4700::1111", "10.0.0.1"],
  ])("a name that resolves to %s %s", async (...addresses) => {
    zone.set("inside.test", [addresses]);
    expect(await guarded.send(`https://inside.test:${port}/`, {}, BODY)).toEqual({
      status: null,
      error: "private_address",
    });
    expect(reached).toEqual([]);
  });

  it.each([
    ["https://127.0.0.1/", "private_address"],
    ["https://2130706433/", "private_address"],
    ["https://0177.0.0.1/", "private_address"],
    ["https://0x7f.1/", "private_address"],
    ["https://[::1]/", "private_address"],
    ["https://[::ffff:127.0.0.1]/", "private_address"],
    ["http://8.8.8.8/", "not_https"],
    ["http://shop.test/", "not_https"],
    ["file:///etc/passwd", "not_http"],
    ["nowhere", "not_a_url"],
  ])("%s: %s", async (url, error) => {
    expect(await guarded.send(url, {}, BODY)).toEqual({ status: null, error });
    expect(asked).toEqual([]);
  });

  it("a name that resolves to nothing, or whose server says so", async () => {
    zone.set("empty.test", [[]]);
    expect(await guarded.send("https://empty.test/", {}, BODY)).toEqual({ status: null, error: "ENOTFOUND" });
  });
});

describe("a name that lies", () => {
  it("is resolved once, and the connection goes to an address that was judged", async () => {
    // Nobody but the test's name server knows the name: connecting at all means connecting to what was judged.
    zone.set("rebind.test", [["127.0.0.1"], ["10.255.255.1"]]);
    expect(await free.send(`http://rebind.test:${port}/204`, {}, BODY)).toEqual({ status: 204, error: null });
    expect(asked).toEqual(["rebind.test"]);
  });

  it("is judged again at the next connection", async () => {
    zone.set("turncoat.test", [["198.51.100.7"], ["127.0.0.1"]]);
    const short = sender(false, 300);
    // A range for documentation is not public either: nothing leaves this machine.
    expect((await short.send("https://turncoat.test/", {}, BODY)).error).toBe("private_address");
    expect((await short.send("https://turncoat.test/", {}, BODY)).error).toBe("private_address");
    expect(asked).toHaveLength(2);
  });
});

describe("what it makes of answers", () => {
  const at = (path: string) => `http://127.0.0.1:${port}${path}`;

  it.each([200, 201, 204, 299])("%i is taken", async (status) => {
    expect(await free.send(at(`/${status}`), {}, BODY)).toEqual({ status, error: null });
  });

  it.each([400, 404, 410, 429, 500, 503])("%i is not", async (status) => {
    expect(await free.send(at(`/${status}`), {}, BODY)).toEqual({ status, error: `http_${status}` });
  });

  it.each([301, 302, 303, 307, 308])("a redirect by %i is not followed", async (status) => {
    expect(await free.send(at(`/redirect/${status}`), {}, BODY)).toEqual({ status, error: `http_${status}` });
    expect(reached).toEqual([`/redirect/${status}`]);
  });

  it("an endless answer is cut off; its status counts", async () => {
    expect(await free.send(at("/endless"), {}, BODY)).toEqual({ status: 200, error: null });
  });

  it("one that never ends gets its time and no more; so does one that never comes", async () => {
    const short = sender(true, 200);
    expect(await short.send(at("/dripping"), {}, BODY)).toEqual({ status: 200, error: null });
    expect(await short.send(at("/silent"), {}, BODY)).toEqual({ status: null, error: "timeout" });
  });

  it("a connection that breaks, a port that nobody listens at, a server of something else", async () => {
    expect(await free.send(at("/cut"), {}, BODY)).toMatchObject({ status: null, error: "ECONNRESET" });
    const other = (garbage.address() as AddressInfo).port;
    expect((await free.send(`http://127.0.0.1:${other}/`, {}, BODY)).error).toMatch(/^HPE_/);
    expect((await free.send("http://127.0.0.1:1/", {}, BODY)).error).toBe("ECONNREFUSED");
  });
});

/** The answer to a query of DNS (RFC 1035) by the addresses that the name has now. */
function answerTo(query: Buffer): Buffer {
  const labels: string[] = [];
  let offset = 12;
  for (let length = query[offset] ?? 0; length > 0; length = query[offset] ?? 0) {
    labels.push(query.toString("ascii", offset + 1, offset + 1 + length));
    offset += 1 + length;
  }
  const type = query.readUInt16BE(offset + 1);
  const addresses = current.get(labels.join(".")) ?? [];
  const found = addresses.filter((address) => net.isIP(address) === (type === 28 ? 6 : 4));
  const records = found.map((address) => {
    const bytes = type === 28 ? bytesOfIPv6(address) : Buffer.from(address.split(".").map(Number));
    const head = Buffer.from([0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length]);
    return Buffer.concat([head, bytes]);
  });
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt16BE(0, 8);
  header.writeUInt16BE(0, 10);
  return Buffer.concat([header, query.subarray(12, offset + 5), ...records]);
}

function bytesOfIPv6(address: string): Buffer {
  const words = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = "", after] = words.split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === undefined || after === "" ? [] : after.split(":");
  const all = after === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  return Buffer.from(all.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255]));
}

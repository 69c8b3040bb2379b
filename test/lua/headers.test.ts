// The header of every script and lua/README.md, held against the code and against what the scripts do on a Redis.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PRODUCT_COPIES, partitionKeys } from "../../engine/keys.ts";
import { readScripts, runScript, SCRIPT_NAMES, type ScriptName, scriptOf } from "../../engine/redis/scripts.ts";
import { openPartition, order, sku, type TestPartition } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

const DIR = fileURLToPath(new URL("../../lua/", import.meta.url));
const README = readFileSync(`${DIR}README.md`, "utf8");
const rawOf = (name: string) => readFileSync(`${DIR}${name}.lua`, "utf8");
const headerOf = (name: string) => /^(?:#!.*\n)?((?:--.*\n)+)/.exec(rawOf(name))?.[1] ?? "";
/** The text with comments and the contents of strings taken out. */
const codeOnly = (source: string) =>
  source
    .replace(/^#!.*$/m, "")
    .replace(/--.*$/gm, "")
    .replace(/'[^'\n]*'/g, "''");

const KEYWORDS =
  "and break do else elseif end false for function if in local nil not or repeat return then true until while";
const BUILT_IN = "KEYS ARGV redis tonumber string table math ipairs pairs unpack";

it("the folder and the list of scripts name the same", () => {
  const files = readdirSync(DIR).filter((file) => file.endsWith(".lua"));
  expect(files.toSorted()).toEqual(SCRIPT_NAMES.map((name) => `${name}.lua`).toSorted());
});

it("every include is used by a script, and used includes exist", () => {
  const used = SCRIPT_NAMES.flatMap((name) =>
    [...rawOf(name).matchAll(/^-- @include (\S+)$/gm)].map(([, file]) => file),
  );
  expect([...new Set(used)].toSorted()).toEqual(readdirSync(`${DIR}include`).toSorted());
});

describe.each(SCRIPT_NAMES)("%s.lua", (name) => {
  const { source, keys } = scriptOf(name);
  const header = headerOf(name);

  it("opens with its own name and what it is for", () => {
    expect(header).toMatch(new RegExp(`^-- ${name}\\.lua: \\S`));
  });

  it("numbers its keys from 1 to the highest that the code uses, includes and all", () => {
    const documented = [...header.matchAll(/^-- KEYS\[(\d+)\] +\S+ +(hash|string|stream)\b/gm)].map(([, n]) =>
      Number(n),
    );
    const used = [...codeOnly(source).matchAll(/KEYS\[(\d+)\]/g)].map(([, n]) => Number(n));
    expect(documented).toEqual(documented.map((_, i) => i + 1));
    expect(new Set(documented)).toEqual(new Set(used));
    expect(keys).toBe(documented.length);
  });

  it("documents its arguments from 1, or says that there are none", () => {
    const numbers = [...header.matchAll(/^-- ARGV\[(\d+)(?:\.\.)?\]/gm)].map(([, n]) => Number(n));
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    if (numbers.length === 0) expect(header).toMatch(/^-- ARGV: none$/m);
    for (const [, n] of codeOnly(rawOf(name)).matchAll(/ARGV\[(\d+)\]/g)) {
      expect(Number(n)).toBeLessThanOrEqual(numbers.at(-1) ?? 0);
    }
  });

  it("says what it returns, which movement it logs and how it fails", () => {
    for (const section of ["Returns", "Movement", "Errors"])
      expect(header).toMatch(new RegExp(`^-- ${section}: \\S`, "m"));
    const logged = /'XADD'[\s\S]*?'kind', '(\w+)'/.exec(source)?.[1] ?? "none";
    expect(/^-- Movement: (\w+)/m.exec(header)?.[1]).toBe(logged);
  });

  it("documents every word that it answers, here and in the README", () => {
    const words = [
      ...rawOf(name)
        .replace(/^--.*$/gm, "")
        .matchAll(/(.*?)'([A-Z][A-Z_]{1,})(?=['| ])/g),
    ]
      .filter(([, before = ""]) => !/redis\.p?call\((.*, )?$/.test(before))
      .map(([, , word = ""]) => word);
    const undocumented = words.filter((word) => !REDIS_WORDS.has(word));
    expect(undocumented.filter((word) => !header.includes(word))).toEqual([]);
    expect(undocumented.filter((word) => !README.includes(`\`${word}\``))).toEqual([]);
  });

  it("names keys only as KEYS[n], never by a text of its own", () => {
    const calls = [...source.replace(/--.*$/gm, "").matchAll(/redis\.p?call\(([^)]*)/g)].map(([, args = ""]) =>
      args.split(/,\s*/),
    );
    for (const args of calls) {
      const key = args.slice(1).find((arg) => !/^'[A-Z]+'$/.test(arg));
      if (args[0] !== "'TIME'") expect(key).toMatch(/^(KEYS\[\d+\]|[a-z_]+)$/);
    }
  });

  it("uses no name that it does not declare: there are no globals", () => {
    const code = codeOnly(source);
    const declared = new Set(`${KEYWORDS} ${BUILT_IN}`.split(" "));
    const lists = [
      ...code.matchAll(/\blocal (?!function)([\w, ]+)/g),
      ...code.matchAll(/\bfor ([\w, ]+?) (?:in|=)/g),
      ...code.matchAll(/\bfor (\w+) =/g),
      ...code.matchAll(/\bfunction ?\w*\(([\w, ]*)\)/g),
      ...code.matchAll(/\blocal function (\w+)/g),
    ];
    for (const [, list = ""] of lists) for (const one of list.split(",")) declared.add(one.trim());
    const used = [...code.matchAll(/(?<![\w.])([A-Za-z_]\w*)/g)].map(([, one = ""]) => one);
    expect([...new Set(used)].filter((one) => !declared.has(one))).toEqual([]);
  });
});

describe("on a Redis", () => {
  let server: LuaServer;
  let partition: TestPartition;
  const commands = new Map<ScriptName, { keys: string[]; ran: string[][] }>();

  beforeAll(async () => {
    server = await startLuaServer();
    const names = new Map(SCRIPT_NAMES.map((name) => [scriptOf(name).sha, name]));
    await Promise.all([...readScripts().values()].map(({ source }) => server.redis.script("LOAD", source)));
    const monitor = await server.redis.duplicate().monitor();
    let running: { keys: string[]; ran: string[][] } | undefined;
    const finished = new Promise<void>((resolve) => {
      monitor.on("monitor", (_time: string, args: string[], source: string) => {
        const [command = "", sha = "", count = "0"] = args;
        if (source === "lua") running?.ran.push(args);
        else if (command.toLowerCase() === "evalsha") {
          const name = names.get(sha) as ScriptName;
          running = commands.get(name) ?? { keys: args.slice(3, 3 + Number(count)), ran: [] };
          commands.set(name, running);
        } else if (command === "echo") resolve();
      });
    });
    partition = await everyScript(server);
    await server.redis.echo("that is all");
    await finished;
    monitor.disconnect();
  });
  afterAll(() => server.stop());

  it("every script touches the keys that it was given, and no others", () => {
    expect(new Set(commands.keys())).toEqual(new Set(SCRIPT_NAMES));
    for (const [name, { keys, ran }] of commands) {
      const touched = ran.flatMap((args) => args.filter((arg) => arg.startsWith("onrush:")));
      expect({ name, undeclared: touched.filter((key) => !keys.includes(key)) }).toEqual({ name, undeclared: [] });
      expect(ran.every((args) => args[0] === "TIME" || args.some((arg) => keys.includes(arg)))).toBe(true);
    }
  });

  it("every key and every field of the partition's numbers stands in the README", async () => {
    const at = partitionKeys(partition.at);
    for (const key of Object.values(at)) expect(README).toContain(`\`${key.slice(key.indexOf("}:") + 2)}\``);
    for (const field of await server.redis.hkeys(at.meta)) expect(README).toContain(`\`${field}\``);
  });

  it("every key that exists is one that the engine's table of keys has", async () => {
    const known = [...Object.values(partition.keys), PRODUCT_COPY];
    expect((await server.redis.keys("*")).filter((key) => !known.includes(key))).toEqual([]);
  });
});

it("the README has every script", () => {
  for (const name of SCRIPT_NAMES) expect(README).toMatch(new RegExp(`^\\| \`${name}\\.lua\` \\|`, "m"));
});

/** Words in the scripts' strings that are Redis' own, or commands. */
const REDIS_WORDS = new Set(["MKSTREAM", "CREATE", "MINID", "PX", "GROUPS", "INVALID_ARGUMENT"]);

const PRODUCT_COPY = `${PRODUCT_COPIES}:${sku(1)}`;

/** Calls every script at least once, along its longest way. */
async function everyScript({ redis }: LuaServer): Promise<TestPartition> {
  const [a, b] = [sku(1), sku(2)];
  const partition = await openPartition(redis, { [a]: 10, [b]: 10 }, { limits: { [a]: 5 } });
  const orders = [order([[a, 1]], { scope: "s", hash: "h" }), order([[a, 2]]), order([[b, 1]])] as const;
  await partition.place(orders);
  await partition.age("idemPeriod", 2);
  await partition.age("recentPeriod", 2);
  await partition.settle([[orders[0].id, 1]]);
  await partition.age("recentPeriod", 1);
  await partition.release([[orders[1].id, 2]]);
  await partition.place([orders[0], order([[a, 1]], { scope: "t", hash: "h" })]);
  await partition.honour(order([[a, 1]]), { [a]: 1 });
  await partition.revive([order([[a, 1]]), order([[b, 99]])]);
  await partition.takeBack(true, [{ movementId: "r", orderId: orders[0].id, buyer: orders[0].buyer, lines: [[a, 1]] }]);
  await partition.place([order([[a, 99]])], { askedAgain: true });
  const before = Number(await redis.hget(partition.keys.stock, `${b}|a`));
  await partition.run("adjust", [1, 0, "m", 99, "{}", 1, "stock", `${b}|a`, before, 20]);
  await redis.xreadgroup("GROUP", "persister", "p", "COUNT", 2, "STREAMS", partition.keys.stream, ">");
  await partition.acknowledge("1-1", 1, ["1-1"]);
  await partition.run("lease", ["p", 60_000]);
  await partition.run("lease", ["p", 0]);
  await partition.run("snapshot", []);
  await partition.run("load", [2, 9, 0, 0, "open", 60_000, "persister", 1, 1, a, 5, 10, 0, 0]);
  await runScript(redis, "keep", [PRODUCT_COPY], [1, 60_000, "id", a]);
  return partition;
}

// The conservation proof of a sale, over real servers: what it says of sound books and of broken ones, and that nothing of
// it can be altered.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createWriteStream, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { partitionKeys } from "../../engine/keys.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { type Proof, readProof } from "../../engine/proof/document.ts";
import { exportPublicKey, loadPublicKey, loadSigningKey, readPublicKey } from "../../engine/proof/key.ts";
import { type ProveOptions, proveSale } from "../../engine/proof/prove.ts";
import { verifyProof } from "../../engine/proof/verify.ts";
import { rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";

const database = await createTestDatabase();
const folder = scratchFolder("proof");
const key = loadSigningKey({ dataDir: folder });
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>>;
let worker: Awaited<ReturnType<typeof startTestWorker>>;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  persister = await startPersister(servers());
  worker = await startTestWorker(servers(), { sweepIntervalMs: 100 });
});
afterAll(async () => {
  await worker.stop();
  await persister.stop();
  await shop.stop();
  await redis.stop();
  rmSync(folder, { recursive: true });
});

type Sale = Awaited<ReturnType<typeof openTestSale>>;
const place = (sale: Sale, token?: string, customerId: string = randomUUID()) =>
  shop.engine.place({
    saleId: sale.saleId,
    customerId,
    items: [{ productId: sale.productId, quantity: 1 }],
    payment: token === undefined ? { method: "later" } : { method: "card", token },
  });
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 50 });
const prove = (saleId: string, options?: ProveOptions) =>
  proveSale(
    { pool: shop.pool, redis: shop.redis, stock: shop.engine.stock, key, version: "0.0.0-test" },
    saleId,
    options,
  );
const verify = (text: string, ledger?: string) => verifyProof(Buffer.from(text), key.publicKey, ledger);

/** A sale with orders of every kind, at rest. */
async function sale(): Promise<Sale> {
  // Whichever partition each buyer falls to, it has enough.
  const made = await openTestSale(shop, { stock: 20, perCustomerLimit: 3 }, { partitions: 2 });
  await Promise.all(
    ["tok_ok", "tok_ok", "tok_ok", "tok_declined", undefined, undefined].map((token) => place(made, token)),
  );
  await until(async () => {
    const states = await shop.pool.query<{ status: string }>("SELECT status FROM orders WHERE sale_id = $1", [
      made.saleId,
    ]);
    const ended = states.rows.map((row) => row.status).sort();
    expect(ended).toEqual(["CANCELLED", "CONFIRMED", "CONFIRMED", "CONFIRMED", "RESERVED", "RESERVED"]);
  });
  return made;
}

const failing = async (text: string) =>
  (await verify(text)).findings.filter((finding) => !finding.holds).map((finding) => finding.check);

describe("the proof of sound books", { timeout: 120_000 }, () => {
  it("says what became of every unit and of the money, and holds", async () => {
    const { saleId, productId } = await sale();
    const { proof, text } = await prove(saleId);
    expect(await failing(text)).toEqual([]);
    expect((await verify(text)).holds).toBe(true);
    expect(proof.skus).toEqual([
      {
        ...{ productId, name: "커피", allocated: 20, initial: 20, restocked: 0, writtenOff: 0 },
        ...{ available: 15, undelivered: 0, reserved: 2, sold: 3, holdback: 0 },
      },
    ]);
    expect(proof.partitions.map((of) => of.redis.verdict)).toEqual(["equal", "equal"]);
    expect(proof.money.total).toMatchObject({ orders: 6, captured: 15_000, refunded: 0, mismatched: 0 });
    expect(proof.orders).toMatchObject({ count: 6, lines: 6 });
    expect(proof.keyId).toBe(key.publicKey.id);
  });

  it("is the same for the same books, and another one after a movement", async () => {
    const made = await sale();
    const digestsOf = ({ partitions, orders, payments }: Proof) => [
      partitions.map((of) => of.movements),
      orders,
      payments,
    ];
    const first = await prove(made.saleId);
    expect(digestsOf((await prove(made.saleId)).proof)).toEqual(digestsOf(first.proof));
    await place(made);
    await until(async () => {
      expect(digestsOf((await prove(made.saleId)).proof)).not.toEqual(digestsOf(first.proof));
    });
  });

  it("compares Redis at the number that it had, while orders go on", async () => {
    const made = await openTestSale(shop, { stock: 100_000 });
    let running = true;
    const load = (async () => {
      while (running) await Promise.all(Array.from({ length: 20 }, () => place(made, "tok_ok")));
    })();
    try {
      for (let n = 0; n < 5; n += 1) {
        const { proof, text } = await prove(made.saleId);
        // A machine that is far behind may leave Redis ahead; what was compared is equal.
        expect(["equal", "in flight"]).toContain(proof.partitions[0]?.redis.verdict);
        expect(await failing(text)).toEqual([]);
      }
    } finally {
      running = false;
      await load;
    }
  });

  it("covers a loss that was declared, and what is held back for it", async () => {
    const made = await openTestSale(shop, { stock: 10 });
    await place(made, "tok_ok");
    await until(async () => expect((await prove(made.saleId)).proof.money.byStatus[0]?.status).toBe("CONFIRMED"));
    await persister.stop();
    await place(made);
    await until(async () => {
      const reports = await shop.pool.query("SELECT FROM acknowledgements WHERE sale_id = $1 AND entries <> '[]'", [
        made.saleId,
      ]);
      expect(reports.rowCount).toBe(1);
    });
    const { meta, stream } = partitionKeys({ saleId: made.saleId, partition: 0 });
    const ahead = await prove(made.saleId);
    expect(ahead.proof.partitions[0]?.redis.verdict).toBe("in flight");
    expect(await failing(ahead.text)).toEqual([]);

    await shop.redis.del(meta, stream);
    const lost = await prove(made.saleId);
    expect(lost.proof.partitions[0]?.redis.verdict).toBe("absent");
    const outbox = await openOutbox(database.url, () => undefined);
    await rebuildPartition(
      { pool: shop.pool, outbox, redis: shop.redis },
      { saleId: made.saleId, partition: 0 },
      "test",
    );
    await outbox.close();
    const { proof, text } = await prove(made.saleId);
    expect(await failing(text)).toEqual([]);
    expect(proof.skus[0]).toMatchObject({ allocated: 10, sold: 1, holdback: 1, available: 8 });
    expect(proof.partitions[0]?.epochs[0]?.lost).toHaveLength(1);
    expect(proof.partitions[0]?.redis.verdict).toBe("equal");
    persister = await startPersister(servers());
  });

  it("names entries that could not be read, and what Redis holds for them", async () => {
    const { saleId, productId } = await openTestSale(shop, { stock: 10 });
    const { meta, stock, stream } = partitionKeys({ saleId, partition: 0 });
    await shop.redis
      .multi()
      .hincrby(stock, `${productId}|a`, -2)
      .hincrby(stock, `${productId}|r`, 2)
      .hincrby(meta, "seq", 1)
      .xadd(stream, "1-2", "kind", "place", "at", "1", "deadline", "1", "lines", "nonsense")
      .exec();
    await until(async () => {
      const { proof, text } = await prove(saleId);
      expect(proof.deadLetters).toEqual([{ partition: 0, kind: "place", state: "open", count: 1 }]);
      expect(proof.partitions[0]?.redis.verdict).toBe("dead letters");
      expect(proof.partitions[0]?.epochs).toEqual([{ epoch: 1, last: 2, applied: 2, gaps: [], lost: [] }]);
      expect(await failing(text)).toEqual([]);
    });
  });

  it("says that Redis could not be asked", async () => {
    const { saleId } = await sale();
    const { proof, text } = await proveSale({ pool: shop.pool, key, version: "0" }, saleId);
    expect(proof.partitions.map((of) => of.redis.verdict)).toEqual(["unreachable", "unreachable"]);
    expect(await failing(text)).toEqual([]);
  });

  it("is refused for a sale that does not exist", async () => {
    await expect(prove("nowhere")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("the proof of broken books", { timeout: 120_000 }, () => {
  const UNITS = "allocated = available + undelivered + reserved + sold + holdback";
  const LOG = "the movements of the log add up to the stock";
  const LINES = "the orders' lines add up to the stock";
  const NUMBERS = "every number of the log is applied or declared lost";
  const MONEY = "captured money fits the orders";
  const REDIS = "Redis holds what the ledger says";
  const confirmed = "(SELECT id FROM orders WHERE sale_id = $1 AND status = 'CONFIRMED' LIMIT 1)";

  it.each([
    [
      "a sold unit that nobody bought",
      "UPDATE stock SET sold = sold + 1 WHERE sale_id = $1 AND sold > 0",
      [UNITS, LOG, LINES, REDIS],
    ],
    [
      "units from nowhere",
      "UPDATE stock SET allocated = allocated + 1 WHERE sale_id = $1",
      [UNITS, "allocated = initial + restocks - write-offs", REDIS],
    ],
    ["an order that is gone", `DELETE FROM orders WHERE id = ${confirmed}`, [LINES]],
    [
      "a movement that is gone",
      "DELETE FROM stock_movements WHERE sale_id = $1 AND kind = 'place'",
      [UNITS, LOG, NUMBERS],
    ],
    ["a charge that did not happen", `DELETE FROM payment_attempts WHERE order_id = ${confirmed}`, [MONEY]],
    [
      "a cancelled order that was charged",
      `UPDATE payment_attempts SET state = 'succeeded' WHERE state = 'declined'
         AND order_id IN (SELECT id FROM orders WHERE sale_id = $1)`,
      [MONEY],
    ],
  ])("%s", async (_what, sql, checks) => {
    const { saleId } = await sale();
    await shop.pool.query(sql, [saleId]);
    const { text } = await prove(saleId);
    const failed = await failing(text);
    expect(failed).toEqual(expect.arrayContaining(checks));
    expect((await verify(text)).holds).toBe(false);
  });

  it("a Redis that holds other units", async () => {
    const { saleId, productId } = await sale();
    await shop.redis.hincrby(partitionKeys({ saleId, partition: 0 }).stock, `${productId}|a`, 1);
    const { proof, text } = await prove(saleId);
    expect(proof.partitions[0]?.redis.verdict).toBe("different");
    expect(await failing(text)).toEqual([REDIS]);
  });
});

/** Tens of thousands of verifications. */
const SLOW_MS = 180_000;

describe("an altered proof", () => {
  let text: string;
  beforeAll(async () => {
    text = (await prove((await sale()).saleId)).text;
  });
  const isGenuine = (bytes: Uint8Array) => readProof(bytes, key.publicKey).type === "genuine";

  it("is refused whichever byte is another one", { timeout: SLOW_MS }, () => {
    const bytes = Buffer.from(text);
    expect(isGenuine(bytes)).toBe(true);
    const accepted: string[] = [];
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [0, 2, 5, 7]) {
        const original = bytes[at] as number;
        bytes[at] = original ^ (1 << bit);
        if (isGenuine(bytes)) accepted.push(`byte ${at}, bit ${bit}`);
        bytes[at] = original;
      }
    }
    expect(accepted).toEqual([]);
    expect(isGenuine(bytes)).toBe(true);
  });

  it("is refused with a byte less, or a blank or a line feed more, wherever", { timeout: SLOW_MS }, () => {
    const bytes = Buffer.from(text);
    const accepted: number[] = [];
    for (let at = 0; at <= bytes.length; at += 1) {
      const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
      const altered = [" ", "\n", "\ufeff"].map((more) => Buffer.concat([head, Buffer.from(more), tail]));
      if (at < bytes.length) altered.push(Buffer.concat([head, tail.subarray(1)]));
      if (altered.some(isGenuine)) accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  it("is refused with members that were added, doubled or reordered", () => {
    const { proof, signature } = JSON.parse(text) as { proof: object; signature: string };
    const alterations = [
      text.replace('{"proof":', '{"note":1,"proof":'),
      text.replace('{"proof":', '{"proof":{},"proof":'),
      text.replace('{"proof":', '{"__proto__":{},"proof":'),
      text.replace(`,"signature":"${signature}"}`, `,"signature":"${signature}","signature":"${signature}"}`),
      `${JSON.stringify({ signature, proof })}\n`,
      `${JSON.stringify({ proof, signature: signature.toUpperCase() })}\n`,
      `${JSON.stringify({ proof, signature }, null, 1)}\n`,
      text.replace('"seq":', '"seq":0,"seq":'),
      text.replace(/"allocated":(\d+)/, '"allocated":$1.0'),
      text.replace(/"allocated":(\d+)/, '"allocated":$1e0'),
      `${JSON.stringify({ proof: null, signature })}\n`,
      "null\n",
      "[]\n",
      "",
      "[".repeat(100_000),
    ];
    expect(alterations.filter((altered) => altered !== text).length).toBe(alterations.length);
    expect(alterations.filter((altered) => isGenuine(Buffer.from(altered)))).toEqual([]);
  });

  it("is refused by every key but the shop's, whatever key it names", async () => {
    const other = loadSigningKey({ signingKey: pemOf("ed25519") });
    expect(readProof(Buffer.from(text), other.publicKey)).toMatchObject({ type: "refused" });
    const { id: saleId } = (JSON.parse(text) as { proof: Proof }).proof.sale;
    const forged = await proveSale(
      { pool: shop.pool, key: { ...other, publicKey: key.publicKey }, version: "0" },
      saleId,
    );
    expect(forged.proof.keyId).toBe(key.publicKey.id);
    expect(isGenuine(Buffer.from(forged.text))).toBe(false);
  });
});

describe("the ledger file", () => {
  it("gives the proof's digests again, and does not when a movement is missing, moved or another one", async () => {
    const { saleId } = await sale();
    const file = path.join(folder, "ledger.jsonl");
    const ledger = createWriteStream(file);
    const { text } = await prove(saleId, { ledger });
    await new Promise<void>((resolve) => ledger.end(resolve));
    expect(await verify(text, file)).toMatchObject({ holds: true });

    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const altered = [
      lines.slice(1),
      lines.slice(0, -1),
      lines.toReversed(),
      [...lines, lines.at(-1) ?? ""],
      lines.join("\n").replace('"place"', '"release"').split("\n"),
      [...lines, "nonsense"],
    ];
    for (const [i, changed] of altered.entries()) {
      writeFileSync(file, `${changed.join("\n")}\n`);
      expect({ i, holds: (await verify(text, file)).holds }).toEqual({ i, holds: false });
    }
  });
});

describe("the key", () => {
  it("is made once in the data directory, and read again from there", () => {
    expect(loadSigningKey({ dataDir: folder }).publicKey.id).toBe(key.publicKey.id);
    expect(loadPublicKey({ dataDir: folder }).id).toBe(key.publicKey.id);
    const pem = exportPublicKey(key.publicKey);
    expect(readPublicKey(pem).id).toBe(key.publicKey.id);
    expect(readPublicKey(JSON.stringify({ publicKey: pem })).id).toBe(key.publicKey.id);
  });

  it("comes from PROOF_SIGNING_KEY as a PEM or as its path, and is refused when it is of another kind", () => {
    const pem = pemOf("ed25519");
    const file = path.join(folder, "own.pem");
    writeFileSync(file, pem);
    const { id } = loadSigningKey({ signingKey: pem, dataDir: folder }).publicKey;
    expect(loadSigningKey({ signingKey: file }).publicKey.id).toBe(id);
    expect(id).not.toBe(key.publicKey.id);
    expect(() => loadSigningKey({ signingKey: pemOf("ed448") })).toThrow(/must be an Ed25519 key/);
    expect(() => loadSigningKey({ signingKey: "/nonexistent" })).toThrow(/cannot be read/);
    expect(() => loadSigningKey({})).toThrow(/PROOF_SIGNING_KEY/);
    expect(() => loadPublicKey({ dataDir: "/nonexistent" })).toThrow(/cannot be read/);
    expect(() => readPublicKey("nonsense")).toThrow(/not a public key/);
  });
});

function pemOf(kind: "ed25519" | "ed448"): string {
  const { privateKey } = kind === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ed448");
  return privateKey.export({ type: "pkcs8", format: "pem" });
}

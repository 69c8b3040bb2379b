// `onrush stock prove` and `onrush stock verify`: the conservation proof of a sale, made here, verified anywhere.
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import { recordAudit } from "../../engine/ledger/audit.ts";
import { checkProof, type Finding } from "../../engine/proof/arithmetic.ts";
import type { Proof } from "../../engine/proof/document.ts";
import { loadPublicKey, loadSigningKey, ProofKeyError, readPublicKeyFile } from "../../engine/proof/key.ts";
import { proveSale } from "../../engine/proof/prove.ts";
import { verifyProof } from "../../engine/proof/verify.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { addCommand, type Call } from "../command.ts";
import { CommandError } from "../failure.ts";
import { startProgress } from "../progress.ts";
import { locate, withDatabase } from "../servers.ts";
import { details, table } from "../table.ts";

interface ProveOptions {
  readonly sale: string;
  readonly out?: string;
  readonly ledger?: string;
}

interface VerifyOptions {
  readonly key?: string;
  readonly ledger?: string;
}

const REDIS_TIMEOUT_MS = 5_000;
const { version } = createRequire(import.meta.url)("onrush/package.json") as { version: string };

/** Adds `prove` and `verify` to `stock`. */
export function proveCommands(stock: Command): void {
  addCommand<ProveOptions>(stock, {
    usage: "prove",
    summary: "a signed proof that every unit and payment of a sale is accounted for; exit code 1 when one is not",
    details:
      "Reads Postgres at one instant, and Redis at the number of the log that it had. The proof is signed (Ed25519) with " +
      "PROOF_SIGNING_KEY, or with the key of DATA_DIR, which is made when there is none. It is one line of canonical JSON, " +
      "and holds for `onrush stock verify` byte by byte. --ledger writes the movements, whose digest is in the proof.",
    examples: [
      "onrush stock prove --sale summer --out summer.proof.json",
      "onrush stock prove --sale summer --out summer.proof.json --ledger summer.jsonl",
    ],
    options: [
      { flags: "--sale <id>", help: "the sale", required: true },
      { flags: "--out <file>", help: "where the proof goes; without it, to standard output" },
      { flags: "--ledger <file>", help: "writes the movements of the log, one JSON array a line" },
    ],
    run: prove,
  });
  addCommand<VerifyOptions>(stock, {
    usage: "verify <file>",
    summary: "verify a proof by the shop's public key, offline; exit code 1 when it does not hold",
    details:
      "The key is a PEM, or what GET /api/v1/proof-key answers. Without --key it is the one of PROOF_SIGNING_KEY or " +
      "DATA_DIR. A key that the proof brings along is never believed.",
    examples: [
      "onrush stock verify summer.proof.json",
      "onrush stock verify summer.proof.json --key shop.pub.pem --ledger summer.jsonl",
    ],
    options: [
      { flags: "--key <file>", help: "the shop's public key" },
      { flags: "--ledger <file>", help: "the movements: their digests and sums are computed again" },
    ],
    run: verify,
  });
}

async function prove({ options, answer, terminal }: Call<ProveOptions>): Promise<void> {
  const key = keyOr(() => loadSigningKey(keyPlaces()));
  await withDatabase(async ({ pool, actor }) => {
    const redis = commandConnection(locate(process.env).redisUrl, REDIS_TIMEOUT_MS);
    redis.on("error", () => undefined);
    const isReached = await connect(redis).then(
      () => true,
      () => false, // the proof says that it was not asked
    );
    const progress = startProgress("Proving");
    const ledger = options.ledger === undefined ? undefined : createWriteStream(options.ledger);
    const written = ledger && finished(ledger).catch((error: Error) => error);
    try {
      const { proof, text } = await proveSale(
        { pool, key, version, ...(isReached && { redis, stock: new PartitionStock(redis, new KnownPositions()) }) },
        options.sale,
        { ledger, onProgress: progress.at },
      );
      ledger?.end();
      const failure = await written;
      if (failure) throw new CommandError(`${options.ledger} cannot be written: ${failure.message}`);
      const after = { at: proof.at.postgres, keyId: proof.keyId, orders: proof.orders };
      await recordAudit(pool, { actor, action: "stock.prove", subject: `sale:${options.sale}`, after });
      const findings = checkProof(proof);
      const holds = findings.every((finding) => finding.holds);
      progress.end();
      if (options.out === undefined) {
        await terminal.write(text);
        terminal.note(summary(proof, findings));
      } else {
        write(options.out, text);
        await answer({ holds, file: options.out, findings, proof }, () => summary(proof, findings));
      }
      if (!holds) process.exitCode = 1;
    } finally {
      progress.end();
      ledger?.destroy();
      redis.disconnect();
    }
  });
}

async function verify({ args, options, answer }: Call<VerifyOptions>): Promise<void> {
  const [file = ""] = args;
  const key = keyOr(() => (options.key === undefined ? loadPublicKey(keyPlaces()) : readPublicKeyFile(options.key)));
  const bytes = read(file);
  const { holds, refused, proof, findings } = await verifyProof(bytes, key, options.ledger).catch((error: Error) => {
    throw new CommandError(`${options.ledger} cannot be read: ${error.message}`);
  });
  const plain = { holds, keyId: key.id, refused: refused ?? null, findings, proof: proof ?? null };
  await answer(plain, () => (proof ? summary(proof, findings) : `NOT GENUINE. ${refused}\nVerified by key ${key.id}.`));
  if (!holds) process.exitCode = 1;
}

function keyPlaces() {
  return { signingKey: process.env["PROOF_SIGNING_KEY"] || undefined, dataDir: process.env["DATA_DIR"] || ".data" };
}

function keyOr<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw error instanceof ProofKeyError ? new CommandError(error.message, "KEY") : error;
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new CommandError(`${file} cannot be written: ${(error as Error).message}`);
  }
}

function summary(proof: Proof, findings: readonly Finding[]): string {
  const { sale, at, partitions, money, orders, keyId } = proof;
  const head = details([
    ["sale", `${sale.name} (${sale.id})`],
    ["at", at.postgres],
    ["log", partitions.map((of) => `${of.partition}: ${of.epoch}-${of.seq}, Redis ${of.redis.verdict}`).join("; ")],
    ["orders", orders.count],
    ["captured", `${money.total.captured - money.total.refunded} ${sale.currency} after refunds`],
    ["key", keyId],
  ]);
  const units = table(
    ["product", "allocated", "available", "undelivered", "reserved", "sold", "holdback"],
    proof.skus.map((sku) => [
      sku.name || sku.productId,
      sku.allocated,
      sku.available,
      sku.undelivered,
      sku.reserved,
      sku.sold,
      sku.holdback,
    ]),
  );
  const checks = findings
    .map(
      ({ check, holds, details: where }) =>
        `${holds ? "  holds" : "  FAILS"}  ${check}${where.length > 0 ? `: ${where.join("; ")}` : ""}`,
    )
    .join("\n");
  const holds = findings.every((finding) => finding.holds);
  return `${head}\n\n${units}\n\n${checks}\n\n${holds ? "The proof holds." : "The proof does NOT hold."}`;
}

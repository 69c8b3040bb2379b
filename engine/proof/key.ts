// The key that signs proofs (Ed25519), and the key that they are verified by: the one that the verifier was given, never
// one that a proof brings along.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

export const PRIVATE_KEY_FILE = "proof-key.pem";
export const PUBLIC_KEY_FILE = "proof-key.pub.pem";

/** A key that cannot be had or is of another kind; the message says which. */
export class ProofKeyError extends Error {}

export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
}

export interface PublicKey {
  readonly key: KeyObject;
  /** The first 128 bits of the SHA-256 of its SPKI form, in hexadecimal digits. */
  readonly id: string;
}

/** Where keys are looked for. */
export interface KeyPlaces {
  /** `PROOF_SIGNING_KEY`: a PEM, or the path of one. */
  readonly signingKey?: string | undefined;
  /** `DATA_DIR` of an embedded instance: a key is made there when there is none. */
  readonly dataDir?: string | undefined;
}

/** The key that signs here. @throws ProofKeyError when there is none */
export function loadSigningKey({ signingKey, dataDir }: KeyPlaces): SigningKey {
  if (signingKey) return readSigningKey(signingKey.includes("-----BEGIN") ? signingKey : readText(signingKey));
  if (dataDir) return readSigningKey(keptOrNew(dataDir));
  throw new ProofKeyError("No key to sign with: set PROOF_SIGNING_KEY to an Ed25519 private key (PEM, or its path).");
}

/** The public half of the key of this place. @throws ProofKeyError when there is none; none is made */
export function loadPublicKey({ signingKey, dataDir }: KeyPlaces): PublicKey {
  if (signingKey) return loadSigningKey({ signingKey }).publicKey;
  const file = path.join(dataDir ?? "", PUBLIC_KEY_FILE);
  if (!dataDir) throw new ProofKeyError("No key to verify by: name the shop's public key with --key.");
  return readPublicKey(readText(file));
}

/** Reads a public key as PEM, or as `GET /api/v1/proof-key` answers it. @throws ProofKeyError */
export function readPublicKey(text: string): PublicKey {
  try {
    const pem = text.trimStart().startsWith("{") ? (JSON.parse(text) as { publicKey?: unknown }).publicKey : text;
    return publicKeyOf(createPublicKey(String(pem)));
  } catch (error) {
    if (error instanceof ProofKeyError) throw error;
    throw new ProofKeyError("That is not a public key (PEM).", { cause: error });
  }
}

/** Reads the file of a public key. @throws ProofKeyError */
export function readPublicKeyFile(file: string): PublicKey {
  return readPublicKey(readText(file));
}

/** The public key as PEM (SPKI). */
export function exportPublicKey({ key }: PublicKey): string {
  return key.export({ type: "spki", format: "pem" });
}

function readSigningKey(pem: string): SigningKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (error) {
    throw new ProofKeyError("PROOF_SIGNING_KEY is not a private key (PEM).", { cause: error });
  }
  return { privateKey, publicKey: publicKeyOf(createPublicKey(privateKey)) };
}

function publicKeyOf(key: KeyObject): PublicKey {
  if (key.asymmetricKeyType !== "ed25519") {
    throw new ProofKeyError(`The key must be an Ed25519 key, not ${key.asymmetricKeyType ?? "of no kind"}.`);
  }
  const spki = key.export({ type: "spki", format: "der" });
  return { key, id: createHash("sha256").update(spki).digest("hex").slice(0, 32) };
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ProofKeyError(`The key ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

// Two processes may come here at once: a key appears whole and once, by a link that fails where there is one already.
function keptOrNew(dataDir: string): string {
  const file = path.join(dataDir, PRIVATE_KEY_FILE);
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw new ProofKeyError(`The key ${file} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  }
  const staged = `${file}.${process.pid}`;
  try {
    const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
    writeFileSync(staged, pem, { mode: 0o600 });
    try {
      linkSync(staged, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const kept = readFileSync(file, "utf8");
    const publicFile = path.join(dataDir, PUBLIC_KEY_FILE);
    writeFileSync(publicFile, exportPublicKey(readSigningKey(kept).publicKey));
    chmodSync(publicFile, 0o644);
    return kept;
  } catch (error) {
    if (error instanceof ProofKeyError) throw error;
    const why = `No key can be made in ${dataDir} (${(error as Error).message}); set PROOF_SIGNING_KEY.`;
    throw new ProofKeyError(why, { cause: error });
  } finally {
    rmSync(staged, { force: true });
  }
}

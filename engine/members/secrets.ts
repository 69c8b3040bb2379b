// Random secrets that are handed out once and kept only as their hash.
import { createHash, randomBytes, randomInt } from "node:crypto";

const SECRET_BYTES = 32;
const ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const ID_CHARACTERS = 24;

/** 256 random bits, base64url (43 characters). */
export function makeSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** What is stored of a secret: SHA-256 is enough for what nobody can guess. */
export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** An id of 124 random bits: the prefix and 24 characters. */
export function makeId(prefix: "cus" | "key" | "whe"): string {
  return `${prefix}_${Array.from({ length: ID_CHARACTERS }, () => ID_ALPHABET[randomInt(ID_ALPHABET.length)]).join("")}`;
}

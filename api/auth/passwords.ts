// Passwords, by argon2id. The cost is OWASP's first choice for it: 19 MiB, two passes, one lane.
import { type Algorithm, hash, verify } from "@node-rs/argon2";

// Algorithm.Argon2id; the package has it as a const enum, which does not survive type stripping.
const ARGON2ID = 2 as Algorithm;
const COST = { algorithm: ARGON2ID, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** The hash of a password that nobody has: what an unknown e-mail is verified against, so that it takes as long. */
let decoy: Promise<string> | undefined;

export function hashPassword(password: string): Promise<string> {
  return hash(password, COST);
}

/** Compares; without a stored hash it takes the same time and says no. */
export async function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  decoy ??= hash("a password that nobody has", COST);
  const matches = await verify(stored ?? (await decoy), password);
  return stored !== undefined && matches;
}

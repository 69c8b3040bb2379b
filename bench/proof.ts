// The ledger's own proof of a sale, as an operator asks for it: `onrush stock prove`, over the CLI. It reads what the audits do not:
// the movements of the log, the payments, and the provider's side of them.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { Faults } from "./books.ts";
import { type Instance, ROOT } from "./instance.ts";
import type { Sale } from "./shop.ts";

/** The exit code of a proof that does not hold; others are failures of the command. */
const NOT_ACCOUNTED = 1;

/** One lost when the proof does not hold; what it found goes to `say`. @throws when there is no proof to be had */
export async function prove(
  { redisUrl, databaseUrl }: Instance,
  { saleId }: Sale,
  say: (line: string) => void,
): Promise<Faults> {
  const folder = mkdtempSync(path.join(tmpdir(), "onrush-bench-proof-")); // for the key, and the proof itself
  const args = ["stock", "prove", "--sale", saleId, "--out", path.join(folder, "proof.json"), "--json"];
  const env = { PATH: process.env["PATH"], DATA_DIR: folder, REDIS_URL: redisUrl, DATABASE_URL: databaseUrl };
  try {
    await promisify(execFile)(process.execPath, [path.join(ROOT, "cli/main.ts"), ...args], { env });
    return { oversold: 0, lost: 0, duplicated: 0 };
  } catch (error) {
    const { code, stdout } = error as { code?: number; stdout?: string };
    if (code !== NOT_ACCOUNTED) throw error;
    say(`  the proof of a sale does not hold: ${stdout}`);
    return { oversold: 0, lost: 1, duplicated: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

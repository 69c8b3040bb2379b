// A temporary folder that Postgres' own account can pass through (tests run as root in a container).
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export function scratchFolder(purpose: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), `onrush-test-${purpose}-`));
  chmodSync(folder, 0o711);
  return folder;
}

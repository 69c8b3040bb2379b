// The tools of node_modules, run as processes of their own on this terminal.
import { spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** @returns its exit code; 1 when it could not be run, or a signal ended it */
export function runTool(tool: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(path.join(ROOT, "node_modules/.bin", tool), args, {
      cwd: ROOT,
      stdio: "inherit",
      env: toolEnv(),
    });
    child.on("error", (error) => {
      process.stderr.write(`Cannot run ${tool}: ${error.message}\n`);
      resolve(1);
    });
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/** The tools' `#!/usr/bin/env node` must find the pinned Node, whatever Node called us. */
function toolEnv(): NodeJS.ProcessEnv {
  const bin = path.join(ROOT, "node_modules/.bin");
  return { ...process.env, PATH: `${bin}${path.delimiter}${process.env["PATH"] ?? ""}` };
}

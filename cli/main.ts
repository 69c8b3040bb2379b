#!/usr/bin/env node
// The admin CLI. Exit codes: 0 fine, 1 found something wrong or could not do it, 2 bad usage.
import { enableCompileCache } from "node:module";

// Most of a short command's time is reading modules; the next one finds them compiled. That is why they come below.
enableCompileCache();
const [{ createProgram }, { failureOf }] = await Promise.all([import("./program.ts"), import("./failure.ts")]);

// Whoever reads the output may stop reading, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await createProgram().parseAsync();
} catch (error) {
  const { exitCode, code, message } = failureOf(error);
  process.exitCode = exitCode;
  const isTold = exitCode === 0 || message === "(outputHelp)" || message === "";
  if (!isTold) {
    const isJson = process.argv.includes("--json");
    process.stderr.write(isJson ? `${JSON.stringify({ error: { code, message } })}\n` : `${message}\n`);
  }
}

// The operator of a chaos run: what a person would do at a terminal, by the real admin CLI.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { System } from "./system.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const TIMEOUT_MS = 60_000;

/** What `stock rebuild --apply --json` reports of one partition. */
export interface Rebuilt {
  readonly saleId: string;
  readonly partition: number;
  readonly survivors: number;
  readonly lost?: { readonly fromSeq: number; readonly toSeq: number };
  readonly heldBack: Readonly<Record<string, number>>;
  readonly stock: readonly { readonly productId: string; readonly available: number }[];
  readonly epoch: number;
}

export interface Command {
  /** Kills it where it stands. */
  killNow(): void;
  /** Resolves to its exit code (`null`: killed), what it printed, and what it complained of. */
  readonly ended: Promise<{ code: number | null; output: string; said: string }>;
}

/** Starts a command of the admin CLI. */
export function onrush(system: System, ...args: string[]): Command {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: system.cliEnvironment,
  });
  const [output, said]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => said.push(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  const ended = once(child, "close").then(([code]) => {
    clearTimeout(timer);
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString().trim();
    return { code: code as number | null, output: text(output), said: text(said) };
  });
  return { killNow: () => void child.kill("SIGKILL"), ended };
}

/** Rebuilds what Redis lost of every sale, or of one. @throws when the CLI could not */
export async function rebuild(system: System, saleId?: string): Promise<Rebuilt[]> {
  const only = saleId === undefined ? [] : ["--sale", saleId];
  const { code, output, said } = await onrush(system, "stock", "rebuild", ...only, "--apply", "--json").ended;
  if (code !== 0) throw new Error(`stock rebuild --apply ended with ${code}: ${said}`);
  return JSON.parse(output) as Rebuilt[];
}

/** Makes the signed proof of a sale and verifies it. @returns what does not hold */
export async function failingProof(system: System, saleId: string): Promise<string | undefined> {
  const [proof, ledger] = ["proof.json", "jsonl"].map((end) => path.join(system.folder, `${saleId}.${end}`)) as [
    string,
    string,
  ];
  const files = ["--ledger", ledger];
  for (const args of [
    ["prove", "--sale", saleId, "--out", proof, ...files],
    ["verify", proof, ...files],
  ]) {
    const { code, output, said } = await onrush(system, "stock", ...args).ended;
    if (code !== 0) return `stock ${args[0]} ended with ${code}: ${said} ${output}`;
  }
  return undefined;
}

// Runs before everything else: `node runtime/setup.mjs <command> [args...]`, which is what the scripts of package.json do.
// It makes sure that what the command needs is there (packages, the pinned Node, a redis-server), says so while it works
// and nothing when there is nothing to do, and hands over to the command's TypeScript entry under the pinned Node.
// Plain JavaScript for Node >= 20 with nothing installed. All its own output goes to stderr: stdout is the command's.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isInvokedDirectly, withSetupLock } from "./setup-lock.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PINNED_NODE = path.join(ROOT, "node_modules/.bin/node");
const STAMP = path.join(ROOT, "node_modules/.onrush-setup");
const APT_LOCK_WAIT_SECONDS = 300;

/**
 * command -> its entry, whether it needs a redis-server of its own ("unless-url": not when REDIS_URL names one), and
 * whether a .env file configures it.
 *
 * @type {Record<string, {entry: string, redis: "never" | "unless-url" | "always", dotenv: boolean}>}
 */
const COMMANDS = {
  start: { entry: "runtime/start.ts", redis: "unless-url", dotenv: true },
  test: { entry: "runtime/test.ts", redis: "always", dotenv: false },
  coverage: { entry: "runtime/coverage.ts", redis: "always", dotenv: false },
  demo: { entry: "demo/main.ts", redis: "always", dotenv: false },
  client: { entry: "api/operations/client/main.ts", redis: "never", dotenv: false },
  bench: { entry: "bench/main.ts", redis: "always", dotenv: false },
  "bench:platforms": { entry: "bench/platforms/main.ts", redis: "never", dotenv: false },
  chaos: { entry: "test/chaos/main.ts", redis: "always", dotenv: false },
  "chaos:mutants": { entry: "test/chaos/mutants/main.ts", redis: "always", dotenv: false },
  model: { entry: "test/model/main.ts", redis: "always", dotenv: false },
  admin: { entry: "cli/main.ts", redis: "never", dotenv: true },
};

/** A failure whose message is all that the reader needs. */
class SetupError extends Error {}

async function main() {
  const [name, ...args] = process.argv.slice(2);
  const command = name === undefined ? undefined : COMMANDS[name];
  if (!command) {
    fail(`Usage: node runtime/setup.mjs ${Object.keys(COMMANDS).join("|")} [arguments]`, 2);
    return;
  }
  if (command.dotenv) loadDotenv();
  try {
    if (!isReady(command)) await withSetupLock(path.join(ROOT, ".setup.lock"), say, () => setUp(command));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    fail(error.message, 1);
    return;
  }
  handOver(path.join(ROOT, command.entry), args);
}

function isReady(command) {
  return packagesAgree() && isExecutable(PINNED_NODE) && !lacksRedis(command);
}

async function setUp(command) {
  if (!packagesAgree()) await installPackages();
  if (!isExecutable(PINNED_NODE)) await rebuildNode();
  if (lacksRedis(command)) await installRedis(command);
}

// --- packages and the pinned Node ---

function lockDigest() {
  const lock = readFileSync(path.join(ROOT, "package-lock.json"));
  return `${createHash("sha256").update(lock).digest("hex")} ${process.platform}-${process.arch}\n`;
}

/** The stamp answers in a millisecond; without it, what npm itself recorded is compared with the lock file. */
function packagesAgree() {
  const digest = lockDigest();
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === digest) return true;
  if (!installedMatchesLock()) return false;
  writeFileSync(STAMP, digest);
  return true;
}

function installedMatchesLock() {
  const installedFile = path.join(ROOT, "node_modules/.package-lock.json");
  if (!existsSync(installedFile)) return false;
  const wanted = JSON.parse(readFileSync(path.join(ROOT, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages;
  return Object.entries(wanted).every(([location, entry]) => {
    if (location === "") return true;
    const present = installed[location];
    return present ? present.version === entry.version && existsSync(path.join(ROOT, location)) : isOptional(entry);
  });
}

function isOptional(entry) {
  return entry.optional === true || entry.devOptional === true || entry.peer === true;
}

async function installPackages() {
  say("Installing packages (npm ci) ...");
  await npm(["ci", "--include=dev", "--no-audit", "--no-fund"]);
  writeFileSync(STAMP, lockDigest());
}

async function rebuildNode() {
  say("Installing the pinned Node runtime ...");
  await npm(["rebuild", "node", "--foreground-scripts", "--ignore-scripts=false"]);
  if (!isExecutable(PINNED_NODE))
    throw new SetupError(`npm installed no Node for ${process.platform}-${process.arch}.`);
}

/** npm as it was called when it called us, else the one on PATH. Warnings (engines of other Nodes) are not shown. */
async function npm(args) {
  const cli = process.env.npm_execpath;
  const [file, first] = cli?.endsWith(".js") ? [process.execPath, [cli]] : ["npm", []];
  await run(file, [...first, ...args, "--loglevel=error"], `npm ${args[0]}`);
}

// --- redis-server ---

function lacksRedis(command) {
  if (command.redis === "never") return false;
  if (command.redis === "unless-url" && process.env.REDIS_URL) return false;
  return !onPath("redis-server");
}

async function installRedis(command) {
  if (process.platform === "darwin" && onPath("brew")) {
    say("Installing redis-server (brew install redis) ...");
    await run("brew", ["install", "--quiet", "redis"], "brew install redis");
  } else if (process.platform === "linux" && onPath("apt-get")) {
    const become = await becomeRoot();
    if (become) await installRedisByApt(become);
  }
  if (!onPath("redis-server")) throw new SetupError(redisChoices(command));
}

/** How a command runs as root: nothing in front of it, sudo without a password, or not at all. */
async function becomeRoot() {
  if (os.userInfo().uid === 0) return [];
  if (!onPath("sudo")) return undefined;
  const asked = await run("sudo", ["-n", "true"], "sudo").then(
    () => true,
    () => false,
  );
  return asked ? ["sudo", "-n"] : undefined;
}

async function installRedisByApt(become) {
  // RUNLEVEL=1 keeps the package from starting a system-wide server that nobody asked for.
  const aptGet = [...become, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"];
  const wait = ["-o", `DPkg::Lock::Timeout=${APT_LOCK_WAIT_SECONDS}`];
  say("Installing redis-server (apt-get) ...");
  await runAll([...aptGet, ...wait, "update"]).catch(() =>
    say("apt-get update failed; trying the lists that are there."),
  );
  await runAll([...aptGet, ...wait, "install", "-y", "--no-install-recommends", "redis-server"]);
}

function redisChoices(command) {
  const choices = ["install one (for example: apt-get install redis-server, brew install redis)"];
  if (command.redis === "unless-url") choices.push("name a running Redis 7 with REDIS_URL=redis://...");
  choices.push("use `docker compose up`");
  return `There is no redis-server on PATH and it could not be installed from here. Please ${choices.join(", or ")}.`;
}

// --- running things ---

function runAll([file, ...args]) {
  return run(file, args, args.includes("install") ? "apt-get install redis-server" : "apt-get update");
}

/** Runs a command quietly; its output is shown when it fails. */
function run(file, args, label) {
  return new Promise((resolve, reject) => {
    const output = [];
    const child = spawn(file, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.on("error", (error) => reject(new SetupError(`Cannot run ${label}: ${error.message}.`)));
    child.on("close", (code) => {
      if (code === 0) resolve(undefined);
      else
        reject(new SetupError(`${Buffer.concat(output).toString().trimEnd()}\n${label} failed (exit code ${code}).`));
    });
  });
}

/**
 * Runs the entry in place of this process, as nearly as Node 20 can: same terminal, same signals, same exit code.
 * Ctrl-C in a terminal reaches the entry without us, as it is in our process group; any other signal is passed on.
 */
function handOver(entry, args) {
  const child = spawn(PINNED_NODE, [entry, ...args], { stdio: "inherit" });
  const pass = (signal) => () => {
    if (signal === "SIGINT" && process.stdin.isTTY) return;
    child.kill(signal);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, pass(signal));
  child.on("error", (error) => fail(`Cannot run the pinned Node (${PINNED_NODE}): ${error.message}.`, 1));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (os.constants.signals[signal] ?? 0);
  });
}

function loadDotenv() {
  const file = path.join(ROOT, ".env");
  if (!existsSync(file)) return;
  if (process.loadEnvFile) process.loadEnvFile(file);
  else say(".env is read by Node 20.12 and newer only; ignoring it.");
}

function onPath(program) {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  return folders.some((folder) => folder !== "" && isExecutable(path.join(folder, program)));
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function fail(message, code) {
  say(message);
  process.exitCode = code;
}

if (isInvokedDirectly(import.meta.url)) await main();

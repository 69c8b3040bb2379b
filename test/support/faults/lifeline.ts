// Ends the processes of a run that was itself killed: a small process holds a pipe of ours and, when the pipe closes, ends
// those that are still written down. A frozen or detached process would otherwise stay for ever.
import { type ChildProcess, spawn } from "node:child_process";

const WATCHER = `
let text = "";
const pids = new Set();
process.stdin.on("data", (chunk) => {
  const lines = (text + chunk).split("\\n");
  text = lines.pop();
  for (const line of lines) line[0] === "+" ? pids.add(Number(line.slice(1))) : pids.delete(Number(line.slice(1)));
}).on("end", () => {
  for (const pid of pids) try { process.kill(pid, "SIGKILL"); } catch {}
});`;

export class Lifeline {
  readonly #watcher: ChildProcess;

  constructor() {
    this.#watcher = spawn(process.execPath, ["-e", WATCHER], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
    this.#watcher.stdin?.on("error", () => undefined); // it is gone: so are we, soon
    this.#watcher.unref();
  }

  /** The process dies with us from now on, until it has ended by itself. */
  hold(child: ChildProcess): void {
    if (child.pid === undefined) return;
    const { pid } = child;
    this.#watcher.stdin?.write(`+${pid}\n`);
    child.once("exit", () => this.#watcher.stdin?.write(`-${pid}\n`));
  }

  /** Nothing is held any more. */
  end(): void {
    this.#watcher.stdin?.end();
  }
}

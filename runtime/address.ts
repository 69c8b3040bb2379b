// Is HOST:PORT free? Asked before anything is started, so that a taken port is one sentence and not a failure half-way.
import { createServer } from "node:net";
import { StartFailure } from "./failure.ts";

/** Resolves when the port (0: some port) can be listened on. @throws StartFailure when it cannot. */
export function usablePort(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => reject(new StartFailure(explain(host, port, error))));
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

/** The URL at which this machine reaches a server that listens on HOST:PORT. */
export function localUrl(host: string, port: number): string {
  const reachable =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}

function explain(host: string, port: number, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "EADDRINUSE":
      return `Port ${port} on ${host} is already in use; stop what uses it, or set PORT to another one.`;
    case "EACCES":
      return `Port ${port} on ${host} may not be listened on by this user; set PORT to one above 1023.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `HOST ${host} is not an address of this machine.`;
    default:
      return `Cannot listen on ${host}:${port}: ${error.message}.`;
  }
}

// What Hono hands through: the request and response of Node, absent when a test calls the app without sockets.
import type { HttpBindings } from "@hono/node-server";

export interface ApiEnv {
  Bindings: Partial<HttpBindings>;
}

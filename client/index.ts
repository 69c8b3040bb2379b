// `onrush/client`: the API, typed. Paths, bodies and answers are checked by the compiler against the OpenAPI document; a
// refusal comes back as `error`, typed by its `code`, and is never thrown.
import createFetchClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.ts";

export type { components, paths } from "./schema.ts";
export type Schemas = components["schemas"];
/** A refusal: RFC 9457, with a stable `code`. */
export type Problem = Schemas["Problem"];

export interface ClientOptions {
  /** e.g. `https://shop.example`; without it that of the page. */
  readonly baseUrl?: string;
  /** The access token or API key of each request; asked for every time, so that it may change. */
  readonly token?: () => string | undefined | Promise<string | undefined>;
  /** Instead of the global one. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

export type OnrushClient = Client<paths>;

/** A typed client. It keeps no state and repeats nothing: a retry is the caller's, with the same `idempotency-key`. */
export function createClient({ baseUrl = "", token, fetch }: ClientOptions = {}): OnrushClient {
  const client = createFetchClient<paths>({ baseUrl, ...(fetch && { fetch }) });
  if (token) {
    client.use({
      async onRequest({ request }) {
        const value = await token();
        if (value !== undefined) request.headers.set("authorization", `Bearer ${value}`);
        return request;
      },
    });
  }
  return client;
}

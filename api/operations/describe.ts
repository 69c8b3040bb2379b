// The OpenAPI document without a running API: for the linter, and for the typed client that is made from it.
import { createLogger } from "../../engine/log.ts";
import { createApp } from "../app.ts";
import type { ApiDependencies } from "../dependencies.ts";

/** The parts of an OpenAPI 3.1 document that readers of it use. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

export interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly description?: string;
  readonly deprecated?: boolean;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: unknown;
  }[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<Record<string, { readonly schema: unknown }>>;
  };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> }>
  >;
}

/** Declares every route without serving any: nothing that a route works with is touched by declaring it. */
export async function describeApi(): Promise<OpenApiDocument> {
  const config = {
    corsOrigins: [],
    guestOrders: true,
    jwtSecret: "",
    jwtSecretPrevious: undefined,
    paymentGateway: "simulated",
    paymentWebhookSecrets: [],
    rateLimit: { enabled: false, ordersPerSecond: 1, requestsPerSecond: 1, loginsPerMinute: 1 },
    receiptSecret: "",
    reservationTtlMs: 1,
    trustedProxies: [],
  } as const;
  const inert = { config, log: createLogger("describe", "silent"), engine: {} } as unknown as ApiDependencies;
  const response = await createApp(inert).request("/openapi.json");
  return (await response.json()) as OpenApiDocument;
}

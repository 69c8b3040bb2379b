// Endpoints: each is declared once, and from that one declaration come its route, its validation and its documentation.
// One handler a route and no middleware: Hono then calls it directly, and the order of things is readable here:
// rate limit, caller, query, body, work; whatever is thrown on the way becomes a problem document.
import { type OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ERROR_STATUS, type ErrorCode, OnrushError } from "../../engine/errors.ts";
import type { Logger } from "../../engine/log.ts";
import { nextRequestId } from "../../engine/request-id.ts";
import { type Access, authorize, type CallerOf, identify } from "../auth/access.ts";
import type { Tokens } from "../auth/tokens.ts";
import type { RequestMetrics } from "../operations/metrics.ts";
import { type Answer, responseOf } from "./answer.ts";
import { readJson } from "./body.ts";
import type { ClientAddress } from "./client-address.ts";
import type { Cors } from "./cors.ts";
import type { ApiEnv } from "./env.ts";
import { refusalOf } from "./failures.ts";
import { parse } from "./fields.ts";
import { problemAnswer, problemDocument, requestIdOf } from "./problem.ts";
import type { RateLimits } from "./rate-limits.ts";

/** What all endpoints of an app share. */
export interface Edge {
  readonly app: OpenAPIHono<ApiEnv>;
  readonly log: Logger;
  readonly tokens: Tokens;
  readonly limits: RateLimits;
  readonly addressOf: (c: Context<ApiEnv>) => string;
  /** The same of a request that Hono does not see. */
  readonly readAddress: ClientAddress;
  readonly metrics: RequestMetrics;
  readonly cors: Cors;
}

type Method = "get" | "post" | "put" | "patch" | "delete";

export interface EndpointDocs {
  readonly method: Method;
  /** With parameters in braces: `/api/v1/orders/{id}`. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: string;
  readonly access: Access;
  /** Answers by status; JSON where no other `mediaType` is named. */
  readonly answers: Readonly<Record<number, { description: string; schema?: z.ZodType; mediaType?: string }>>;
  /** Codes beyond those that any endpoint may answer. */
  readonly refusals?: readonly ErrorCode[];
  readonly headers?: z.ZodObject;
}

export interface EndpointSpec<A extends Access, Query extends z.ZodObject, Body extends z.ZodType>
  extends EndpointDocs {
  readonly access: A;
  readonly query?: Query;
  readonly body?: Body;
  /** A request without a body gives the schema `undefined`. */
  readonly bodyOptional?: boolean;
}

/** One call, checked. */
export interface Call<A extends Access, Query, Body> {
  readonly c: Context<ApiEnv>;
  readonly caller: CallerOf<A>;
  readonly query: Query;
  readonly body: Body;
}

const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .openapi("Problem");

/** Declares an endpoint. */
export function endpoint<
  A extends Access,
  Query extends z.ZodObject = z.ZodObject<Record<string, never>>,
  Body extends z.ZodType = z.ZodUndefined,
>(
  edge: Edge,
  spec: EndpointSpec<A, Query, Body>,
  work: (call: Call<A, z.output<Query>, z.output<Body>>) => Response | Promise<Response>,
): void {
  documentEndpoint(edge, spec, spec.query, spec.body, spec.bodyOptional);
  route(edge, spec.method, spec.path, async (c) => {
    edge.limits.request(edge.addressOf(c));
    const caller = authorize(await identify(c, edge.tokens), spec.access);
    const query = (spec.query ? parse(spec.query, c.req.query()) : {}) as z.output<Query>;
    const body = (spec.body ? parse(spec.body, await readJson(c, spec.bodyOptional)) : undefined) as z.output<Body>;
    return work({ c, caller, query, body });
  });
}

/** Adds an endpoint to the OpenAPI document. */
export function documentEndpoint(
  edge: Edge,
  docs: EndpointDocs,
  query?: z.ZodObject,
  body?: z.ZodType,
  bodyOptional = false,
): void {
  const names = [...docs.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  const config: RouteConfig = {
    method: docs.method,
    path: docs.path,
    operationId: operationIdOf(docs),
    summary: docs.summary,
    ...(docs.description && { description: docs.description }),
    tags: [docs.tag],
    security: docs.access === "public" ? [{}, { bearer: [] }] : [{ bearer: [] }],
    request: {
      ...(names.length > 0 && { params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))) }),
      ...(query && { query }),
      ...(docs.headers && { headers: docs.headers }),
      ...(body && { body: { required: !bodyOptional, content: { "application/json": { schema: body } } } }),
    },
    responses: responsesOf(docs, body !== undefined || query !== undefined),
  };
  edge.app.openAPIRegistry.registerPath(config);
}

/** `POST /api/v1/orders/{id}/cancel` is `postOrdersByIdCancel`: unique, and as stable as the path itself. */
function operationIdOf({ method, path }: Pick<EndpointDocs, "method" | "path">): string {
  const words = path
    .replace(/^\/api\/v1/, "")
    .replaceAll(/\{(\w+)\}/g, "by-$1")
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "");
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

/** Routes requests to `work`, inside the frame that turns what is thrown into answers, and that counts and times. */
export function route(
  edge: Edge,
  method: Method,
  path: string,
  work: (c: Context<ApiEnv>) => Response | Promise<Response>,
): void {
  const observe = edge.metrics.route(method.toUpperCase(), path);
  edge.app.on([method.toUpperCase()], [path.replaceAll(/\{(\w+)\}/g, ":$1")], async (c) => {
    const startedAt = performance.now();
    let response: Response;
    try {
      response = await work(c);
    } catch (error) {
      response = answerFailure(error, edge.log, method, path);
    }
    observe(response.status, performance.now() - startedAt);
    return edge.cors.apply(c, response);
  });
}

/** Answers what was thrown. A defect is logged under the id that its answer shows. */
export function answerFailure(error: unknown, log: Logger, method: string, path: string): Response {
  return responseOf(failureAnswer(error, log, method, path));
}

/** The same before it is a response. */
export function failureAnswer(error: unknown, log: Logger, method: string, path: string): Answer {
  const refusal = refusalOf(error);
  if (refusal) {
    if (refusal.cause === undefined || refusal.code === "UNAUTHENTICATED") return problemAnswer(refusal);
    const requestId = requestIdOf(refusal);
    log.warn({ requestId, method, path, code: refusal.code, err: refusal.cause }, "a request could not be served");
    return problemAnswer(refusal, requestId);
  }
  const requestId = nextRequestId();
  log.error({ requestId, method, path, err: error }, "a request failed on an error nobody expected");
  return problemAnswer(new OnrushError("INTERNAL", "The request failed; the id says where to look."), requestId);
}

const RETRIED: ReadonlySet<number> = new Set([429, 503]);
const RETRY_AFTER = {
  "Retry-After": { description: "Seconds after which another try makes sense", schema: { type: "integer" as const } },
};

function exampleOf(code: ErrorCode): Record<string, unknown> {
  return problemDocument(new OnrushError(code, "What was wrong, in a sentence."), "mf3k2l-1a");
}

function responsesOf(docs: EndpointDocs, validated: boolean): RouteConfig["responses"] {
  const responses: RouteConfig["responses"] = {};
  for (const [status, { description, schema, mediaType = "application/json" }] of Object.entries(docs.answers)) {
    responses[status] = { description, ...(schema && { content: { [mediaType]: { schema } } }) };
  }
  const codes = new Set<ErrorCode>(["RATE_LIMITED", "OVERLOADED", "UNAUTHENTICATED", ...(docs.refusals ?? [])]);
  if (validated) codes.add("VALIDATION");
  if (docs.access === "admin" || docs.access === "operator") codes.add("FORBIDDEN");
  if (docs.method !== "get" && docs.method !== "delete" && validated) codes.add("PAYLOAD_TOO_LARGE");
  const codesOf = new Map<number, ErrorCode[]>();
  for (const code of [...codes].sort((a, b) => ERROR_STATUS[a] - ERROR_STATUS[b])) {
    const status = ERROR_STATUS[code];
    codesOf.set(status, [...(codesOf.get(status) ?? []), code]);
    const here = codesOf.get(status) ?? [];
    responses[status] = {
      description: here.join(", "),
      ...(RETRIED.has(status) && { headers: RETRY_AFTER }),
      content: {
        "application/problem+json": {
          schema: problemSchema,
          examples: Object.fromEntries(here.map((of) => [of, { value: exampleOf(of) }])),
        },
      },
    };
  }
  return responses;
}

// The API's description: the OpenAPI document, made from the schemas that the routes validate by, and Swagger UI to read it
// and try it, served from the installed package so that nothing has to be fetched from elsewhere.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { jsonAnswer, SECURITY_HEADERS } from "../http/answer.ts";
import { documentEndpoint, type Edge, route } from "../http/endpoint.ts";

const VERSION = "1.0.0";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Onrush API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<noscript>The description of the API is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<main id="ui"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;
const START = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#ui", deepLinking: true, tryItOutEnabled: true });
`;
/** Swagger UI styles its elements in place and shows its icons as data. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "frame-ancestors 'none'";
const ASSETS = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
} as const;
const ASSET_CACHING = "public, max-age=3600";

/** Adds `/openapi.json` and `/docs`. Called last: the document is made once, of the routes that were declared before. */
export function documentationRoutes(edge: Edge): void {
  const served = { tag: "Documentation", access: "public", method: "get" } as const;
  documentEndpoint(edge, {
    ...served,
    path: "/openapi.json",
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1" } },
  });
  documentEndpoint(edge, {
    ...served,
    path: "/docs",
    summary: "This document as a page",
    answers: { 200: { description: "Swagger UI" } },
  });
  edge.app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
  });
  const document = edge.app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Onrush",
      version: VERSION,
      description:
        "A flash-sale order engine. Amounts are integers in the currency's minor unit. Errors are problem documents " +
        "(RFC 9457) with a stable `code`; 429 and 503 carry Retry-After.",
      license: { name: "MIT", url: "https://opensource.org/license/mit" },
    },
    servers: [{ url: "/", description: "The server that this document is from" }],
  });
  route(edge, "get", "/openapi.json", () => jsonAnswer(document));
  route(edge, "get", "/docs", () => answer(PAGE, "text/html; charset=utf-8", PAGE_POLICY));
  route(edge, "get", "/docs/start.js", () => answer(START, "text/javascript; charset=utf-8"));

  const resolve = createRequire(import.meta.url).resolve;
  for (const [file, type] of Object.entries(ASSETS)) {
    let content: Promise<Buffer<ArrayBuffer>> | undefined;
    route(edge, "get", `/docs/${file}`, async () => {
      content ??= readFile(resolve(`swagger-ui-dist/${file}`));
      return answer(await content, type);
    });
  }
}

function answer(body: string | Buffer<ArrayBuffer>, type: string, policy?: string): Response {
  const headers = { ...SECURITY_HEADERS, "content-type": type };
  const caching = typeof body === "string" ? {} : { "cache-control": ASSET_CACHING };
  return new Response(body, {
    headers: { ...headers, ...caching, ...(policy && { "content-security-policy": policy }) },
  });
}

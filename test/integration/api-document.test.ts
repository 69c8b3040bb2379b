// The OpenAPI document: clean by a public linter, the same as the routes, the source of the typed client, and obeyed by
// requests that are made up from it.
import { readFileSync } from "node:fs";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeApi } from "../../api/operations/describe.ts";
import { documentTypes } from "../../api/operations/typescript.ts";
import { createClient } from "../../client/index.ts";
import { ERROR_STATUS } from "../../engine/errors.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const document = await describeApi();
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

/** The same requests every time, so that a red run means a change; `FUZZ_SEED=7 FUZZ_RUNS=100000` tries others. */
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_121);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 1_000);

/** Pages and assets that are no part of the API. */
const UNDOCUMENTED = /^\/docs\//;

describe("the document", () => {
  it("is clean by Redocly's recommended rules", async () => {
    const config = await createConfig({ extends: ["recommended"] });
    const problems = await lintFromString({ source: JSON.stringify(document), absoluteRef: "/openapi.json", config });
    const texts = problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`);
    expect(texts).toEqual([]);
  });

  it("has every route, and no other", () => {
    const routes = shop.app.routes
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`)
      .filter((route) => !UNDOCUMENTED.test(route.split(" ")[1] ?? ""));
    const documented = operations.map(({ method, path }) => `${method} ${path}`);
    expect([...new Set(routes)].toSorted()).toEqual(documented.toSorted());
  });

  it("shows every problem code with an example", () => {
    const shown = new Set<string>();
    for (const { operation } of operations) {
      for (const { content } of Object.values(operation.responses)) {
        const examples = (content?.["application/problem+json"] as { examples?: object } | undefined)?.examples;
        for (const code of Object.keys(examples ?? {})) shown.add(code);
      }
    }
    // Any answer may be these two: METHOD_NOT_ALLOWED is no route's, and INTERNAL is a defect.
    const anywhere = ["METHOD_NOT_ALLOWED", "INTERNAL"];
    expect([...shown].toSorted()).toEqual(
      Object.keys(ERROR_STATUS)
        .filter((code) => !anywhere.includes(code))
        .toSorted(),
    );
  });

  it("is what the typed client was made from", () => {
    const source = readFileSync(new URL("../../client/schema.ts", import.meta.url), "utf8");
    expect(source === documentTypes(document), "client/schema.ts is stale: run npm run client").toBe(true);
  });
});

describe("the typed client", () => {
  const fetch = async (request: Request) => shop.app.request(request);
  const client = createClient({ baseUrl: "http://shop.example", fetch, token: () => shop.admin });

  it("answers typed, and gives refusals as values", async () => {
    const product = await client.POST("/api/v1/products", { body: { name: "커피", price: 500 } });
    const productId = product.data?.id ?? "";
    const sale = await client.POST("/api/v1/sales", { body: { name: "x", items: [{ productId, stock: 3 }] } });
    const guests = createClient({ baseUrl: "http://shop.example", fetch });
    const items = [{ productId, quantity: 2 }];
    const placed = await guests.POST("/api/v1/orders", { params: {}, body: { saleId: sale.data?.id ?? "", items } });
    expect(placed.data).toMatchObject({ price: 1_000, items: [{ productId, quantity: 2 }] });
    const refused = await guests.POST("/api/v1/orders", { params: {}, body: { saleId: sale.data?.id ?? "", items } });
    expect([refused.response.status, refused.error?.code]).toEqual([409, "SOLD_OUT"]);
    const orderId = placed.data?.orderTrackingId ?? "";
    const found = await client.GET("/api/v1/orders/{id}", { params: { path: { id: orderId } } });
    expect(found.data?.status).toBe("PENDING");
  });
});

interface SchemaParts {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly items?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly unknown[];
  readonly minimum?: number;
}

describe("requests that are made up from the document", () => {
  // What stands in their way is tried apart from them: limits, and the end of the test's own rights.
  const skipped = new Set(["POST /api/v1/auth/logout"]);
  const ids = fc.constantFrom(
    "catalog",
    "x",
    "%00",
    "%f0%28",
    "0",
    "00000000-0000-4000-8000-000000000000",
    "cus_x",
    "..",
  );
  const queries = fc.dictionary(
    fc.constantFrom("limit", "cursor", "customerId", "query", "saleId", "status"),
    fc.oneof(fc.string({ maxLength: 30 }), fc.constantFrom("-1", "0", "1e9", "101", "\ud800", "%")),
    { maxKeys: 3 },
  );

  it("are never answered with a 500, and always with a status that the document has", async () => {
    const tokens = [undefined, await accessToken(makeCustomerId()), shop.admin];
    const cases = fc.record({
      at: fc.constantFrom(...operations.filter(({ method, path }) => !skipped.has(`${method} ${path}`))),
      id: ids,
      query: queries,
      token: fc.constantFrom(...tokens),
      seed: fc.nat(),
      broken: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.jsonValue() }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ at: { path, method, operation }, id, query, token, seed, broken }) => {
        const body = operation.requestBody
          ? JSON.stringify(
              broken === undefined ? madeUp(operation.requestBody.content["application/json"]?.schema, seed) : broken,
            )
          : undefined;
        const search = new URLSearchParams(query).toString();
        const target = `${path.replaceAll(/\{\w+\}/g, id)}${search ? `?${search}` : ""}`;
        const answer = await shop.call(method, target, { token, ...(body !== undefined && { body }) });
        const told = `${method} ${target} ${body ?? ""} ${answer.text}`;
        const known = Object.keys(operation.responses);
        // A path that the id has changed into another one is that one's.
        const isElsewhere = id === "..";
        expect(answer.status === 503 || answer.status < 500, told).toBe(true);
        if (!isElsewhere) expect(known, told).toContain(String(answer.status));
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  /** A value that the schema would have, or nearly: one member in eight is of another kind. */
  function madeUp(schema: unknown, seed: number, depth = 0): unknown {
    const { $ref, type, properties, items, enum: values, anyOf, minimum } = schema as SchemaParts;
    const turn = (seed * 2_654_435_761 + depth * 97) % 1_000;
    if (turn % 8 === 7) return [null, "", -1, 1e300, "\u0000", [], {}, true][turn % 7];
    if ($ref) return madeUp(document.components.schemas[$ref.split("/").at(-1) as string], seed, depth);
    if (values) return values[turn % values.length];
    if (anyOf) return madeUp(anyOf[0], seed, depth + 1);
    switch (type) {
      case "object":
        return Object.fromEntries(
          Object.entries(properties ?? {}).map(([name, of], n) => [name, madeUp(of, seed + n, depth + 1)]),
        );
      case "array":
        return depth > 6 ? [] : Array.from({ length: (turn % 3) + 1 }, (_, n) => madeUp(items, seed + n, depth + 1));
      case "integer":
      case "number":
        return (minimum ?? 0) + (turn % 50);
      case "boolean":
        return turn % 2 === 0;
      case "string":
        return ["catalog", "a@example.com", "커피", "2027-01-01T00:00:00Z", "00000000-0000-4000-8000-000000000000"][
          turn % 5
        ];
      default:
        return null;
    }
  }
});

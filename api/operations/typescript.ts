// The OpenAPI document as TypeScript: the types that the typed client (`client/`) calls by. Covers the JSON Schema that our
// schemas lead to; what it does not know becomes `unknown`, and never a wrong type.
import type { OpenApiDocument, Operation } from "./describe.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly description?: string;
  readonly default?: unknown;
}

/** Whether a member that has a default may be left out (requests), or is there in any case (answers). */
type Side = "request" | "answer";

/** The source of `client/schema.ts`. */
export function documentTypes(document: OpenApiDocument): string {
  const schemas = Object.entries(document.components.schemas as Record<string, Schema>);
  const components = schemas.map(([name, schema]) => `${comment(schema.description)}    ${name}: ${typeOf(schema)};`);
  const paths = Object.entries(document.paths).map(([path, operations]) => {
    const methods = Object.entries(operations).map(([method, operation]) => operationType(method, operation));
    return `  ${JSON.stringify(path)}: {\n${methods.join("\n")}\n  };`;
  });
  return [
    "// The API's types, made from its OpenAPI document by `npm run client`. Not edited by hand; a test compares them.",
    "",
    "export interface paths {",
    ...paths,
    "}",
    "",
    "export interface components {",
    "  schemas: {",
    ...components,
    "  };",
    "}",
    "",
  ].join("\n");
}

function operationType(method: string, operation: Operation): string {
  const { parameters = [], requestBody, responses } = operation;
  const places = ["query", "header", "path"].flatMap((place) => {
    const here = parameters.filter((parameter) => parameter.in === place);
    if (here.length === 0) return [];
    const members = here.map(
      ({ name, required, schema }) => `${key(name)}${required ? "" : "?"}: ${typeOf(schema as Schema, "request")};`,
    );
    const optional = here.every(({ required }) => !required) ? "?" : "";
    return [`${place}${optional}: { ${members.join(" ")} };`];
  });
  const body = Object.values(requestBody?.content ?? {})[0]?.schema as Schema | undefined;
  const lines = [
    `parameters: { ${places.join(" ")} };`,
    ...(requestBody
      ? [
          `requestBody${requestBody.required ? "" : "?"}: { content: { "application/json": ${typeOf(body, "request")} } };`,
        ]
      : []),
    `responses: { ${Object.entries(responses).map(responseType).join(" ")} };`,
  ];
  return `${comment(operation.summary)}    ${method}: {\n${lines.map((line) => `      ${line}`).join("\n")}\n    };`;
}

function responseType([status, { content }]: [string, Operation["responses"][string]]): string {
  const bodies = Object.entries(content ?? {}).map(
    ([type, { schema }]) => `${JSON.stringify(type)}: ${typeOf(schema as Schema | undefined)};`,
  );
  return `${status}: { headers: Record<string, unknown>; content${bodies.length > 0 ? `: { ${bodies.join(" ")} }` : "?: never"} };`;
}

function typeOf(schema: Schema | undefined, side: Side = "answer"): string {
  if (schema === undefined) return "unknown";
  if (schema.$ref) return `components["schemas"][${JSON.stringify(schema.$ref.split("/").at(-1))}]`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return union(choices.map((choice) => typeOf(choice, side)));
  if (schema.allOf) return schema.allOf.map((part) => `(${typeOf(part, side)})`).join(" & ");
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  return union(types.map((type: string | undefined) => typeNamed(type, schema, side)));
}

function typeNamed(type: string | undefined, schema: Schema, side: Side): string {
  switch (type) {
    case "string":
    case "boolean":
    case "null":
      return type;
    case "integer":
    case "number":
      return "number";
    case "array":
      return `(${typeOf(schema.items, side)})[]`;
    case "object":
      return objectType(schema, side);
    default:
      return "unknown";
  }
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema, side: Side): string {
  const members = Object.entries(properties).map(([name, schema]) => {
    const isGiven = required.includes(name) && !(side === "request" && schema.default !== undefined);
    return `${key(name)}${isGiven ? "" : "?"}: ${typeOf(schema, side)};`;
  });
  const isOpen = additionalProperties !== undefined && additionalProperties !== false;
  if (isOpen) members.push("[member: string]: unknown;");
  return members.length === 0 ? "Record<string, never>" : `{ ${members.join(" ")} }`;
}

function union(types: readonly string[]): string {
  return [...new Set(types)].join(" | ");
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function comment(text: string | undefined): string {
  return text === undefined ? "" : `    /** ${text.replaceAll("*/", "* /").replaceAll(/\s+/g, " ")} */\n`;
}

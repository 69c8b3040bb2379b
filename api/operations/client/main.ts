// Writes client/schema.ts anew: run after a change of a route or a schema (`npm run client`).
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describeApi } from "../describe.ts";
import { documentTypes } from "../typescript.ts";

const FILE = fileURLToPath(new URL("../../../client/schema.ts", import.meta.url));
writeFileSync(FILE, documentTypes(await describeApi()));
process.stdout.write("client/schema.ts is written.\n");

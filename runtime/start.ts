// `npm start`: one instance of everything on this machine, until Ctrl-C.
import { fileURLToPath } from "node:url";
import { migrate } from "../persister/migrate.ts";
import { DEMO_PRODUCTS, seedCatalogue } from "./demo-catalogue.ts";
import { runInstance } from "./instance.ts";

const entry = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

process.exitCode = await runInstance(process.env, {
  roles: { api: entry("api/main.ts"), persister: entry("persister/main.ts"), worker: entry("persister/jobs/main.ts") },
  paymentGateway: entry("persister/jobs/gateway/provider/main.ts"),
  migrate,
  seed: ({ databaseUrl, redisUrl }, { reservationTtlMs }) =>
    seedCatalogue({ databaseUrl, redisUrl, reservationTtlMs, products: DEMO_PRODUCTS }),
});

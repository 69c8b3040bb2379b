// What operators see and decide beyond sales and products.
import type { ApiDependencies } from "../dependencies.ts";
import type { Edge } from "../http/endpoint.ts";
import { auditRoutes } from "./audit-routes.ts";
import { configurationRoutes } from "./configuration-routes.ts";
import { deadLetterRoutes } from "./dead-letter-routes.ts";
import { instanceRoutes } from "./instance-routes.ts";
import { memberAdminRoutes } from "./member-routes.ts";
import { adminOrderRoutes } from "./order-routes.ts";
import { overviewRoutes } from "./overview-routes.ts";

export function adminRoutes(edge: Edge, deps: ApiDependencies): void {
  overviewRoutes(edge, deps);
  instanceRoutes(edge, deps);
  adminOrderRoutes(edge, deps);
  deadLetterRoutes(edge, deps);
  memberAdminRoutes(edge, deps);
  auditRoutes(edge, deps);
  configurationRoutes(edge, deps);
}

// The API as a Hono app. It can be called without sockets (`app.request(...)`); server.ts puts it on one.
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { CartCache } from "../engine/cart/cart-cache.ts";
import { ProductReads } from "../engine/catalogue/read-model/reads.ts";
import { OnrushError } from "../engine/errors.ts";
import { findApiKey } from "../engine/members/api-keys.ts";
import { adminRoutes } from "./admin/routes.ts";
import { accountRoutes } from "./auth/account-routes.ts";
import { apiKeyRoutes } from "./auth/api-key-routes.ts";
import { authRoutes } from "./auth/routes.ts";
import { createTokens } from "./auth/tokens.ts";
import { explanationRoutes } from "./books/explanation-routes.ts";
import { proofRoutes } from "./books/proof-routes.ts";
import { checkoutRoute } from "./cart/checkout.ts";
import { cartRoutes, reorderRoute } from "./cart/routes.ts";
import { couponRoutes } from "./coupons/routes.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { SECURITY_HEADERS } from "./http/answer.ts";
import { clientAddressReader } from "./http/client-address.ts";
import { createCors } from "./http/cors.ts";
import { answerFailure, type Edge } from "./http/endpoint.ts";
import type { ApiEnv } from "./http/env.ts";
import { problemResponse } from "./http/problem.ts";
import { createRateLimits } from "./http/rate-limits.ts";
import { notificationRoutes } from "./notifications/routes.ts";
import { exposeConfiguration } from "./operations/configuration-metrics.ts";
import { documentationRoutes } from "./operations/documentation.ts";
import { healthRoutes } from "./operations/health.ts";
import { exposeInstances } from "./operations/instance-metrics.ts";
import { createMetrics } from "./operations/metrics.ts";
import { exposePaymentCircuits } from "./operations/payment-circuits.ts";
import { reconciliationRoutes } from "./operations/reconciliation.ts";
import { exposeRefunds } from "./operations/refund-metrics.ts";
import { exposeWebhooks } from "./operations/webhook-metrics.ts";
import { orderChangeRoutes } from "./orders/change-routes.ts";
import { fulfilmentRoute } from "./orders/fulfilment-route.ts";
import { placeOrderRoute } from "./orders/place.ts";
import { orderReadRoutes } from "./orders/read-routes.ts";
import { refundRoutes } from "./orders/refund-routes.ts";
import { pointsRoutes } from "./points/routes.ts";
import { exposeProductReads } from "./products/counts.ts";
import { productRoutes } from "./products/routes.ts";
import { honourRoute } from "./recovery/honour-route.ts";
import { rebuildRoutes } from "./recovery/rebuild-routes.ts";
import { saleAdminRoutes } from "./sales/admin-routes.ts";
import { saleRoutes } from "./sales/routes.ts";
import { StockView } from "./sales/stock-view.ts";
import { supportRoutes } from "./support/routes.ts";
import { walletRoutes } from "./wallet/routes.ts";
import { webhookEndpointRoutes } from "./webhooks/endpoint-routes.ts";
import { paymentWebhookRoute } from "./webhooks/payment-routes.ts";
import { exposeStatusCounters } from "./ws/counters.ts";
import { ticketRoute } from "./ws/tickets.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** Makes what all of the API's endpoints share. @throws ConfigError when a trusted proxy is no address */
export function createEdge(deps: ApiDependencies): Edge {
  const readAddress = clientAddressReader(deps.config.trustedProxies);
  return {
    app: new OpenAPIHono<ApiEnv>(),
    log: deps.log,
    tokens: createTokens({
      secret: deps.config.jwtSecret,
      previousSecret: deps.config.jwtSecretPrevious,
      findApiKey: (secret) => findApiKey(deps.pool, secret),
    }),
    limits: createRateLimits(deps.config.rateLimit),
    readAddress,
    addressOf: (c) => readAddress(c.env?.incoming?.socket?.remoteAddress, c.req.raw.headers.get("x-forwarded-for")),
    metrics: createMetrics(() => deps.engine.admission.waiting),
    cors: createCors(deps.config.corsOrigins),
  };
}

/** Makes the app of the edge's endpoints. */
export function createApp(deps: ApiDependencies, edge: Edge = createEdge(deps)): OpenAPIHono<ApiEnv> {
  const { app } = edge;
  const stock = new StockView(deps.engine, deps.pool);
  const carts = new CartCache(deps.cacheRedis, deps.pool, (error) => deps.log.warn({ err: error }, "cart cache"));
  const cart = { ...deps, carts, stock };
  const products = new ProductReads({
    db: deps.pool,
    catalogue: deps.engine.catalogue,
    copies: deps.copies,
    redis: deps.cacheRedis,
    onError: (error) => deps.log.warn({ err: error }, "copies of products"),
  });

  placeOrderRoute(edge, deps);
  orderReadRoutes(edge, deps);
  orderChangeRoutes(edge, deps);
  refundRoutes(edge, deps);
  fulfilmentRoute(edge, deps);
  productRoutes(edge, { ...deps, products });
  saleRoutes(edge, deps, stock);
  saleAdminRoutes(edge, deps, stock);
  authRoutes(edge, { ...deps, carts });
  accountRoutes(edge, deps);
  cartRoutes(edge, cart);
  checkoutRoute(edge, cart);
  reorderRoute(edge, cart);
  apiKeyRoutes(edge, deps);
  adminRoutes(edge, deps);
  honourRoute(edge, deps);
  rebuildRoutes(edge, deps);
  paymentWebhookRoute(edge, deps);
  webhookEndpointRoutes(edge, deps);
  walletRoutes(edge, deps);
  couponRoutes(edge, deps);
  pointsRoutes(edge, deps);
  supportRoutes(edge, deps);
  notificationRoutes(edge, deps);
  ticketRoute(edge, deps);
  proofRoutes(edge, deps);
  explanationRoutes(edge, deps);
  healthRoutes(edge, deps);
  reconciliationRoutes(edge, deps);
  exposeRefunds(edge.metrics.registry, deps.pool);
  exposeWebhooks(edge.metrics.registry, deps.pool);
  if (deps.configuration) exposeConfiguration(edge.metrics.registry, deps.configuration);
  exposeInstances(edge.metrics.registry, deps.pool);
  documentationRoutes(edge);
  exposeProductReads(edge.metrics.registry, products);
  exposePaymentCircuits(edge.metrics.registry, deps.pool);
  if (deps.statusCounters) exposeStatusCounters(edge.metrics.registry, deps.statusCounters);

  app.notFound((c) => edge.cors.apply(c, answerUnrouted(edge, c)));
  // Routes answer their own failures; this is for what Hono itself throws.
  app.onError((error, c) => answerFailure(error, deps.log, c.req.method, c.req.path));
  return app;
}

/** A path that is nobody's, another method on one that is somebody's, or the question which methods there are. */
function answerUnrouted(edge: Edge, c: Context<ApiEnv>): Response {
  try {
    edge.limits.request(edge.addressOf(c));
  } catch (error) {
    return answerFailure(error, edge.log, c.req.method, c.req.path);
  }
  const methods: string[] = METHODS.filter((method) => edge.app.router.match(method, c.req.path)[0].length > 0);
  if (methods.length === 0) return problemResponse(new OnrushError("NOT_FOUND", "There is nothing at this path."));
  if (methods[0] === "GET") methods.splice(1, 0, "HEAD");
  methods.push("OPTIONS");
  if (c.req.method === "OPTIONS") {
    const headers = { ...SECURITY_HEADERS, allow: methods.join(", "), ...edge.cors.preflight(c, methods) };
    return new Response(null, { status: 204, headers });
  }
  return problemResponse(
    new OnrushError("METHOD_NOT_ALLOWED", `${c.req.method} is not allowed here.`, { allow: methods }),
  );
}

// The API's types, made from its OpenAPI document by `npm run client`. Not edited by hand; a test compares them.

export interface paths {
  "/api/v1/orders": {
    /** Place an order */
    post: {
      parameters: { header?: { "idempotency-key"?: string; prefer?: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["OrderRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PlacedOrder"]; } }; 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PlacedOrder"]; } }; 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PlacedOrder"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 422: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** List one's own orders */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; status?: string; saleId?: string; from?: string; to?: string; fulfilment?: "none" | "packed" | "shipped" | "delivered"; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["OrderPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/orders/{id}": {
    /** Read an order */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Order"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/orders/{id}/cancel": {
    /** Cancel an order */
    post: {
      parameters: { path: { id: string; }; };
      responses: { 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Order"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/orders/{id}/payments": {
    /** Pay for an order */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["PaymentRequest"] } };
      responses: { 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Order"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/orders/{id}/refunds": {
    /** Refund an order */
    post: {
      parameters: { header?: { "idempotency-key"?: string; }; path: { id: string; }; };
      requestBody?: { content: { "application/json": components["schemas"]["RefundRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Refund"]; } }; 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Refund"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 422: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** List an order's refunds */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["RefundPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/orders/{id}/fulfilment": {
    /** Say that an order was packed, shipped or delivered */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["FulfilmentRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Order"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/products": {
    /** List products */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; query?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["ProductPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Create a product */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["NewProduct"] } };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Product"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/products/{id}": {
    /** Read a product */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Product"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Replace a product */
    put: {
      parameters: { header?: { "If-Match"?: string; }; path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["ProductInput"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Product"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Delete a product */
    delete: {
      parameters: { header?: { "If-Match"?: string; }; path: { id: string; }; };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/sales": {
    /** List sales */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SalePage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Create a sale */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["NewSale"] } };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/sales/{id}": {
    /** Read a sale */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Change a sale */
    patch: {
      parameters: { header?: { "If-Match"?: string; }; path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["SalePatch"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/sales/{id}/open": {
    /** Open a sale now, whatever its opening time; also after a pause or a close */
    post: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/sales/{id}/pause": {
    /** Take no orders until the sale is opened again */
    post: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/sales/{id}/close": {
    /** Take no more orders */
    post: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/sales/{id}/restock": {
    /** Add units of a product */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["RestockRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/sales/{id}/write-off": {
    /** Take unsold units of a product away */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["WriteOffRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Sale"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/signup": {
    /** Become a member */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["SignUp"] } };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["NewMember"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/login": {
    /** Sign in */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["Credentials"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Session"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/refresh": {
    /** Get a new access token */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["RefreshRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Session"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/logout": {
    /** Sign out */
    post: {
      parameters: {  };
      requestBody?: { content: { "application/json": components["schemas"]["LogOut"] } };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/me": {
    /** The signed-in account */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Account"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Change the name */
    patch: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["ChangeAccount"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Account"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Erase the account */
    delete: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["EraseAccount"] } };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/verify-email": {
    /** Verify an e-mail address */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["VerifyEmail"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Account"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/verification-mails": {
    /** Have the verification link sent again */
    post: {
      parameters: {  };
      responses: { 202: { headers: Record<string, unknown>; content?: never }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/password-resets": {
    /** Forgot the password */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["EmailOnly"] } };
      responses: { 202: { headers: Record<string, unknown>; content?: never }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/password-resets/confirm": {
    /** Set a new password by a link */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["ResetPassword"] } };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/auth/password": {
    /** Change the password */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["ChangePassword"] } };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/cart": {
    /** See the cart */
    get: {
      parameters: { query?: { customerId?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Cart"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Empty the cart */
    delete: {
      parameters: { query?: { customerId?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Cart"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/cart/items/{productId}": {
    /** Set how many of a product are in the cart */
    put: {
      parameters: { query?: { customerId?: string; }; path: { productId: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["CartQuantity"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Cart"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Take a product out of the cart */
    delete: {
      parameters: { query?: { customerId?: string; saleId?: string; }; path: { productId: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Cart"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/cart/checkout": {
    /** Order what is in the cart */
    post: {
      parameters: { query?: { customerId?: string; }; header?: { "idempotency-key"?: string; }; };
      requestBody?: { content: { "application/json": components["schemas"]["CheckoutRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PlacedOrder"]; } }; 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PlacedOrder"]; } }; 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PlacedOrder"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 422: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/orders/{id}/reorder": {
    /** Put an order's products into the cart again */
    post: {
      parameters: { query?: { customerId?: string; }; path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Cart"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/api-keys": {
    /** Make a key for a server */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["NewApiKey"] } };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["CreatedApiKey"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** List keys */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": { items: (components["schemas"]["ApiKey"])[]; }; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/api-keys/{id}": {
    /** Revoke a key */
    delete: {
      parameters: { path: { id: string; }; };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/overview": {
    /** How the shop stands */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Overview"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/instances": {
    /** Which processes run */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Instances"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/orders": {
    /** Find orders */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; query?: string; saleId?: string; status?: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; productId?: string; from?: string; to?: string; fulfilment?: "none" | "packed" | "shipped" | "delivered"; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["OrderSummaryPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/orders/export": {
    /** Download orders as CSV */
    get: {
      parameters: { query?: { query?: string; saleId?: string; status?: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; productId?: string; from?: string; to?: string; fulfilment?: "none" | "packed" | "shipped" | "delivered"; bom?: "true" | "false"; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "text/csv": string; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/dead-letters": {
    /** List dead letters */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; state?: "open" | "replayed" | "discarded"; saleId?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["DeadLetterPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/dead-letters/{id}": {
    /** Read a dead letter */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["DeadLetter"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/dead-letters/{id}/replay": {
    /** Apply a dead letter to the ledger */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["DeadLetterReplay"] } };
      responses: { 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["DeadLetter"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/dead-letters/{id}/discard": {
    /** Give up on a dead letter */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["DeadLetterDiscard"] } };
      responses: { 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["DeadLetter"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/users/{customerId}": {
    /** Erase a member's personal data */
    delete: {
      parameters: { path: { customerId: string; }; };
      requestBody?: { content: { "application/json": components["schemas"]["AccountErasure"] } };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/audit": {
    /** List what operators did */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; subject?: string; actor?: string; action?: "product.create" | "product.update" | "product.delete" | "product.import" | "sale.create" | "sale.edit" | "sale.open" | "sale.pause" | "sale.close" | "stock.restock" | "stock.write_off" | "stock.rebuild" | "stock.reconcile" | "stock.prove" | "order.cancel" | "order.refund" | "order.fulfil" | "order.honour" | "dead_letter.replay" | "dead_letter.discard" | "job.retry" | "user.grant" | "user.revoke" | "user.erase" | "wallet.deposit" | "points.adjust" | "coupon.create" | "coupon.close" | "api_key.create" | "api_key.revoke" | "webhook_endpoint.create" | "webhook_endpoint.update" | "webhook_endpoint.delete" | "webhook_endpoint.rotate" | "webhook_endpoint.test" | "webhook_endpoint.replay" | "webhook_endpoint.disable" | "config.change" | "config.rollback"; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["AuditPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/config": {
    /** Read the configuration */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Configuration"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Change the configuration */
    patch: {
      parameters: { query?: { reason?: string; }; header?: { "If-Match"?: string; }; };
      requestBody: { content: { "application/json": { rateLimit?: { enabled?: boolean | null; ordersPerSecond?: number | null; requestsPerSecond?: number | null; loginsPerMinute?: number | null; } | null; orders?: { backlogMax?: number | null; } | null; payments?: { gateway?: "simulated" | "http" | "stripe" | null; chargeTimeoutMs?: number | null; circuitFailuresMax?: number | null; circuitTrialDelayMs?: number | null; circuitTrialDelayMsMax?: number | null; } | null; points?: { tiers?: ({ name: string; from: number; rate: number; })[] | null; } | null; pauses?: { orders?: boolean | null; payments?: boolean | null; refunds?: boolean | null; webhooks?: boolean | null; mails?: boolean | null; } | null; log?: { level?: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent" | null; } | null; } } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Configuration"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/config/versions": {
    /** List the configuration's versions */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["ConfigurationVersionPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/config/rollback": {
    /** Go back to a version of the configuration */
    post: {
      parameters: { header?: { "If-Match"?: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["ConfigurationRollback"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Configuration"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/orders/honour": {
    /** Honour an order that was lost */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": { orderTrackingId: string; saleId: string; customerId: string; items: ({ productId: string; quantity: number; price: number; })[]; price: number; payable: number; couponCode?: string; discount?: number; points?: number; currency: string; receipt: string; payment?: { method: "card" | "later"; token?: string; }; address?: { street: string; postalCode: string; city: string; }; } } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Order"]; } }; 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Order"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/sales/{id}/rebuild": {
    /** Rebuild a sale's stock in Redis from Postgres */
    post: {
      parameters: { header?: { prefer?: string; }; path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["RebuildRequest"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Rebuild"]; } }; 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Rebuild"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/sales/{id}/rebuilds": {
    /** List a sale's rebuilds */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["RebuildPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/webhooks/payments": {
    /** Take in a payment provider's event */
    post: {
      parameters: { header?: { "webhook-id"?: string; "webhook-timestamp"?: string; "webhook-signature"?: string; }; };
      requestBody: { content: { "application/json": { type: string; data?: { key?: string; }; } } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["ReceivedPaymentEvent"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/webhook-endpoints": {
    /** Have events sent to a URL */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["NewWebhookEndpoint"] } };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WebhookEndpointWithSecret"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** List webhook endpoints */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": { items: (components["schemas"]["WebhookEndpoint"])[]; }; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/webhook-endpoints/{id}": {
    /** Read a webhook endpoint */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WebhookEndpoint"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Change a webhook endpoint */
    patch: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["WebhookEndpointChange"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WebhookEndpoint"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Delete a webhook endpoint */
    delete: {
      parameters: { path: { id: string; }; };
      responses: { 204: { headers: Record<string, unknown>; content?: never }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/webhook-endpoints/{id}/rotate-secret": {
    /** Replace a webhook secret */
    post: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WebhookEndpointWithSecret"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/webhook-endpoints/{id}/test": {
    /** Send a ping */
    post: {
      parameters: { path: { id: string; }; };
      responses: { 202: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WebhookDelivery"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/webhook-endpoints/{id}/deliveries": {
    /** List an endpoint's deliveries */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; state?: "pending" | "delivered" | "dead"; }; path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WebhookDeliveryPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/webhook-endpoints/{id}/replay": {
    /** Send dead deliveries again */
    post: {
      parameters: { path: { id: string; }; };
      requestBody?: { content: { "application/json": components["schemas"]["WebhookReplay"] } };
      responses: { 202: { headers: Record<string, unknown>; content: { "application/json": { replayed: (number)[]; }; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/wallet": {
    /** Read one's own wallet */
    get: {
      parameters: { query?: { currency?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Wallet"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/wallet/transactions": {
    /** List what moved in one's own wallet */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; currency?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WalletTransactionPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/wallets/{customerId}": {
    /** Read a member's wallet */
    get: {
      parameters: { query?: { currency?: string; }; path: { customerId: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Wallet"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/wallets/{customerId}/transactions": {
    /** List what moved in a member's wallet */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; currency?: string; }; path: { customerId: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["WalletTransactionPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/wallets/{customerId}/deposits": {
    /** Book what a member has paid in */
    post: {
      parameters: { header?: { "idempotency-key"?: string; }; path: { customerId: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["NewDeposit"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Deposit"]; } }; 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Deposit"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 422: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/coupons": {
    /** Make a coupon */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["NewCoupon"] } };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Coupon"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** List coupons */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["CouponPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/coupons/{code}": {
    /** Read what a coupon gives */
    get: {
      parameters: { path: { code: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Coupon"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/coupons/{code}/close": {
    /** Close a coupon */
    post: {
      parameters: { path: { code: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["ClosedCoupon"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/points": {
    /** Read one's own points and tier */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Points"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/points/entries": {
    /** List what came and went of one's own points */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PointsEntryPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/points/{customerId}": {
    /** Read a member's points and tier */
    get: {
      parameters: { path: { customerId: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Points"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/points/{customerId}/entries": {
    /** List what came and went of a member's points */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; path: { customerId: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PointsEntryPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/points/{customerId}/adjustments": {
    /** Give a member points, or take some */
    post: {
      parameters: { header?: { "idempotency-key"?: string; }; path: { customerId: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["NewPointsAdjustment"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PointsAdjustment"]; } }; 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["PointsAdjustment"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 422: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/support/threads": {
    /** Write to the shop */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["NewSupportThread"] } };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportThread"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** List support threads */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; state?: "open" | "closed"; customerId?: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportThreadPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/support/threads/{id}": {
    /** Read a support thread */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportThread"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Close a support thread or open it again */
    patch: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["SupportThreadChange"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportThread"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/support/threads/{id}/read": {
    /** Say how far one has read a support thread */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["SupportReadMark"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportThread"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/support/threads/{id}/messages": {
    /** Read the messages of a support thread */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; }; path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportMessagePage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
    /** Write in a support thread */
    post: {
      parameters: { path: { id: string; }; };
      requestBody: { content: { "application/json": components["schemas"]["NewSupportMessage"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportMessage"]; } }; 201: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["SupportMessage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 409: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/notifications": {
    /** List one's own notifications */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; unread?: "true"; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["NotificationPage"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/notifications/{id}/read": {
    /** Mark a notification as read */
    post: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Notification"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/notifications/read": {
    /** Mark notifications as read */
    post: {
      parameters: {  };
      requestBody: { content: { "application/json": components["schemas"]["NotificationsRead"] } };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["UnreadNotifications"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 413: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/ws-tickets": {
    /** Get a ticket for the WebSocket */
    post: {
      parameters: {  };
      responses: { 201: { headers: Record<string, unknown>; content: { "application/json": { ticket: string; expiresIn: number; }; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/proof-key": {
    /** The key that conservation proofs are verified by */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["ProofKey"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/sales/{id}/proof": {
    /** Prove a sale */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["ConservationProof"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/orders/{id}/explanation": {
    /** Explain an order */
    get: {
      parameters: { path: { id: string; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Explanation"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 404: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/healthz": {
    /** The process is up */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Health"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/readyz": {
    /** Redis and Postgres answer, Redis fits ACK_MODE, and the catalogue is loaded; else 503 */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Health"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/metrics": {
    /** Metrics in Prometheus' text format */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content?: never }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/api/v1/admin/reconciliation": {
    /** Where Redis and the ledger differ */
    get: {
      parameters: { query?: { limit?: number; cursor?: string; state?: "open" | "ended" | "all"; }; };
      responses: { 200: { headers: Record<string, unknown>; content: { "application/json": components["schemas"]["Reconciliation"]; } }; 400: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 403: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/openapi.json": {
    /** This document */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content?: never }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
  "/docs": {
    /** This document as a page */
    get: {
      parameters: {  };
      responses: { 200: { headers: Record<string, unknown>; content?: never }; 401: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 429: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; 503: { headers: Record<string, unknown>; content: { "application/problem+json": components["schemas"]["Problem"]; } }; };
    };
  };
}

export interface components {
  schemas: {
    PlacedOrder: { orderTrackingId: string; status: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; saleId: string; customerId: string; items: (components["schemas"]["OrderItem"])[]; price: number; payable: number; couponCode?: string; discount?: number; points?: number; currency: string; reservedUntil: string; acknowledged: "fast" | "fsync" | "replicated" | "postgres"; receipt: string; };
    OrderItem: { productId: string; name: string; quantity: number; price: number; };
    Problem: { type: string; title: string; status: number; detail: string; code: "VALIDATION" | "UNAUTHENTICATED" | "FORBIDDEN" | "NOT_FOUND" | "METHOD_NOT_ALLOWED" | "SOLD_OUT" | "LIMIT_EXCEEDED" | "COUPON_INVALID" | "COUPON_EXHAUSTED" | "COUPON_LIMIT_EXCEEDED" | "SALE_NOT_OPEN" | "PRICE_MISMATCH" | "INSUFFICIENT_POINTS" | "INVALID_STATE" | "EMAIL_TAKEN" | "PAYLOAD_TOO_LARGE" | "IDEMPOTENCY_CONFLICT" | "RATE_LIMITED" | "INTERNAL" | "STOCK_UNAVAILABLE" | "OVERLOADED" | "OUTCOME_UNKNOWN"; requestId: string; errors?: ({ path: string; message: string; })[]; [member: string]: unknown; };
    OrderRequest: { saleId?: string; customerId?: string; items: ({ productId: string; quantity: number; price?: number; })[]; price?: number; address?: { street: string; postalCode: string; city: string; }; payment?: { method: "card" | "wallet" | "later"; token?: string; }; couponCode?: string; points?: number; };
    Order: { orderTrackingId: string; status: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; reason?: "PAYMENT_DECLINED" | "PAYMENT_FAILED" | "EXPIRED" | "CUSTOMER" | "OPERATOR" | "LEDGER_GUARD"; version: number; saleId: string; customerId: string; items: (components["schemas"]["OrderItem"])[]; price: number; payable: number; couponCode?: string; discount?: number; points?: number; refundedAmount: number; currency: string; payment: { method: "card" | "wallet" | "later"; }; address?: components["schemas"]["Address"]; fulfilment: components["schemas"]["Fulfilment"]; reservedUntil: string; placedAt: string; updatedAt: string; timeline: ({ status: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; at: string; version: number; reason?: "PAYMENT_DECLINED" | "PAYMENT_FAILED" | "EXPIRED" | "CUSTOMER" | "OPERATOR" | "LEDGER_GUARD"; fulfilment?: components["schemas"]["FulfilmentStep"]; refundedAmount?: number; })[]; };
    Address: { street: string; postalCode: string; city: string; };
    /** Null until something is said of it */
    Fulfilment: (components["schemas"]["FulfilmentStep"]) & ({ at: string; } | null);
    FulfilmentStep: { state: "packed" | "shipped" | "delivered"; reference: string | null; };
    OrderPage: { items: (components["schemas"]["Order"])[]; nextCursor?: string; };
    PaymentRequest: { method: "card" | "wallet"; token?: string; };
    Refund: { id: string; orderTrackingId: string; amount: number; currency: string; items: ({ productId: string; quantity: number; })[]; restock: boolean; state: "pending" | "succeeded" | "failed"; reason?: string | null; createdAt: string; endedAt: string | null; };
    RefundRequest: { items?: ({ productId: string; quantity: number; })[]; amount?: number; restock?: boolean; reason?: string; };
    RefundPage: { items: (components["schemas"]["Refund"])[]; nextCursor?: string; };
    FulfilmentRequest: { state: "packed" | "shipped" | "delivered"; reference?: string; };
    ProductPage: { items: (components["schemas"]["Product"])[]; nextCursor?: string; };
    Product: { id: string; name: string; description: string; price: number; currency: string; imageUrl: string | null; version: number; createdAt: string; updatedAt: string; };
    NewProduct: { id?: string; name: string; description?: string; price: number; currency?: string; imageUrl?: string | null; };
    ProductInput: { name: string; description?: string; price: number; currency?: string; imageUrl?: string | null; };
    SalePage: { items: (components["schemas"]["Sale"])[]; nextCursor?: string; };
    Sale: { id: string; name: string; state: "scheduled" | "open" | "paused" | "closed" | "sold_out"; currency: string; opensAt: string; closesAt: string | null; reservationTtlSeconds: number; partitions: number; onDecline: "release" | "hold"; membersOnly: boolean; stockVisibility: "exact" | "band"; version: number; createdAt: string; items: ({ productId: string; name: string; price: number; perCustomerLimit: number | null; remaining?: number; remainingBand?: "none" | "few" | "some" | "plenty"; })[]; };
    NewSale: { id?: string; name: string; opensAt?: string; closesAt?: string | null; items: ({ productId: string; stock: number; price?: number | null; perCustomerLimit?: number | null; })[]; reservationTtlSeconds?: number; partitions?: number; onDecline?: "release" | "hold"; membersOnly?: boolean; stockVisibility?: "exact" | "band"; };
    SalePatch: { name?: string; opensAt?: string; closesAt?: string | null; reservationTtlSeconds?: number; onDecline?: "release" | "hold"; membersOnly?: boolean; stockVisibility?: "exact" | "band"; items?: ({ productId: string; price?: number | null; perCustomerLimit?: number | null; stock?: number; })[]; version?: number; reason?: string; };
    RestockRequest: { productId: string; quantity: number; reason?: string; };
    WriteOffRequest: { productId: string; quantity: number; reason: string; };
    NewMember: (components["schemas"]["Session"]) & ({ id: string; });
    Session: { accessToken: string; refreshToken: string; expiresIn: number; customerId: string; };
    SignUp: { email: string; password: string; name: string; guestId?: string; };
    Credentials: { email: string; password: string; guestId?: string; };
    RefreshRequest: { refreshToken: string; };
    LogOut: { refreshToken?: string; };
    Account: { customerId: string; email: string; emailVerified: boolean; name: string; roles: ("customer" | "support" | "admin")[]; createdAt: string; };
    VerifyEmail: { token: string; };
    EmailOnly: { email: string; };
    ResetPassword: { token: string; password: string; };
    ChangePassword: { currentPassword: string; newPassword: string; };
    ChangeAccount: { name: string; };
    EraseAccount: { password: string; };
    Cart: { customerId: string; version: number; updatedAt: string | null; items: ({ saleId: string; productId: string; name?: string; quantity: number; price?: number; currency?: string; remaining?: number; perCustomerLimit?: number | null; problem?: "NOT_OFFERED" | "SALE_NOT_OPEN" | "SOLD_OUT" | "LIMIT_EXCEEDED"; })[]; totals: ({ saleId: string; price: number; currency: string; })[]; };
    CartQuantity: { quantity: number; saleId?: string; };
    CheckoutRequest: { saleId?: string; price?: number; address?: { street: string; postalCode: string; city: string; }; payment?: { method: "card" | "wallet" | "later"; token?: string; }; couponCode?: string; points?: number; };
    CreatedApiKey: (components["schemas"]["ApiKey"]) & ({ key: string; });
    ApiKey: { id: string; name: string; roles: ("support" | "admin")[]; createdBy: string; createdAt: string; expiresAt: string | null; revokedAt: string | null; };
    NewApiKey: { name: string; roles: ("support" | "admin")[]; expiresAt?: string; };
    Overview: { sales: ({ id: string; name: string; state: "scheduled" | "open" | "paused" | "closed" | "sold_out" | "lost"; available: number | null; partitions: (components["schemas"]["PartitionStanding"])[]; })[]; orders: { PENDING?: number; RESERVED?: number; PAYING?: number; PAID?: number; CONFIRMED?: number; CANCELLING?: number; CANCELLED?: number; REFUND_PENDING?: number; REFUNDED?: number; }; oldestUnfinished: { id: string; status: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; placedAt: string; } | null; openDeadLetters: number; refunds: { pending: number; failed: number; oldestPendingSeconds: number | null; }; queues: ({ queue: "payment" | "settlement" | "compensation" | "refund" | "payment-event" | "mail" | "webhook"; waiting: number; active: number; failed: number; oldestWaitingSeconds: number | null; })[]; findings: (string)[]; };
    PartitionStanding: { saleId: string; partition: number; state: "new" | "live" | "suspended"; reason: string | null; lag: number | null; backlog: number | null; drift: number | null; };
    Instances: { items: (components["schemas"]["Instance"])[]; current: boolean; };
    Instance: { id: string; role: "api" | "persister" | "worker"; state: "up" | "late" | "gone" | "stopped"; host: string; pid: number; version: string; build: string; node: string; ackMode: "fast" | "fsync" | "replicated" | "postgres" | null; configuration: number | null; startedAt: string; heardAt: string; endedAt: string | null; health: components["schemas"]["InstanceHealth"]; load: components["schemas"]["InstanceLoad"]; partitions: (string)[]; };
    InstanceHealth: { ready: boolean; checks: { redis?: boolean; postgres?: boolean; durability?: boolean; catalogue?: boolean; accepting?: boolean; }; reason?: string; };
    /** Since the beat before; what a role does not do is left out */
    InstanceLoad: { eventLoopDelayP99Ms: number; eventLoopUtilization: number; cpu: number; rssBytes: number; ordersPerSecond?: number; batchesPerSecond?: number; sockets?: number; partitions?: number; jobsInFlight?: number; paymentsInFlight?: number; deliveriesInFlight?: number; };
    OrderSummaryPage: { items: (components["schemas"]["OrderSummary"])[]; nextCursor?: string; };
    OrderSummary: { orderTrackingId: string; saleId: string; customerId: string; status: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; reason: "PAYMENT_DECLINED" | "PAYMENT_FAILED" | "EXPIRED" | "CUSTOMER" | "OPERATOR" | "LEDGER_GUARD" | null; price: number; payable: number; couponCode?: string; discount?: number; points?: number; refundedAmount: number; currency: string; paymentMethod: string; placedAt: string; updatedAt: string; fulfilment: components["schemas"]["Fulfilment"]; items: ({ productId: string; name: string; quantity: number; price: number; })[]; };
    DeadLetterPage: { items: (components["schemas"]["DeadLetter"])[]; nextCursor?: string; };
    DeadLetter: { id: number; saleId: string; partition: number; epoch: number | null; seq: number | null; orderId: string | null; kind: string; refundId: string | null; payload: string; error: string; state: "open" | "replayed" | "discarded"; createdAt: string; decidedAt: string | null; decidedBy: string | null; wanted: "replay" | "discard" | null; refusal: string | null; };
    DeadLetterReplay: { reason?: string; };
    DeadLetterDiscard: { reason: string; };
    AccountErasure: { reason?: string; };
    AuditPage: { items: (components["schemas"]["AuditEntry"])[]; nextCursor?: string; };
    AuditEntry: { id: number; at: string; actor: string; action: "product.create" | "product.update" | "product.delete" | "product.import" | "sale.create" | "sale.edit" | "sale.open" | "sale.pause" | "sale.close" | "stock.restock" | "stock.write_off" | "stock.rebuild" | "stock.reconcile" | "stock.prove" | "order.cancel" | "order.refund" | "order.fulfil" | "order.honour" | "dead_letter.replay" | "dead_letter.discard" | "job.retry" | "user.grant" | "user.revoke" | "user.erase" | "wallet.deposit" | "points.adjust" | "coupon.create" | "coupon.close" | "api_key.create" | "api_key.revoke" | "webhook_endpoint.create" | "webhook_endpoint.update" | "webhook_endpoint.delete" | "webhook_endpoint.rotate" | "webhook_endpoint.test" | "webhook_endpoint.replay" | "webhook_endpoint.disable" | "config.change" | "config.rollback"; subject: string; before?: unknown; after?: unknown; reason: string | null; };
    Configuration: { version: number; running: number; changedAt: string | null; changedBy: string | null; reason: string | null; settings: { rateLimit: { enabled: boolean; ordersPerSecond: number; requestsPerSecond: number; loginsPerMinute: number; }; orders: { backlogMax: number; }; payments: { gateway: "simulated" | "http" | "stripe"; chargeTimeoutMs: number; circuitFailuresMax: number; circuitTrialDelayMs: number; circuitTrialDelayMsMax: number; }; points: { tiers: ({ name: string; from: number; rate: number; })[]; }; pauses: { orders: boolean; payments: boolean; refunds: boolean; webhooks: boolean; mails: boolean; }; log: { level: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent"; }; }; stored: { rateLimit?: { enabled?: boolean; ordersPerSecond?: number; requestsPerSecond?: number; loginsPerMinute?: number; }; orders?: { backlogMax?: number; }; payments?: { gateway?: "simulated" | "http" | "stripe"; chargeTimeoutMs?: number; circuitFailuresMax?: number; circuitTrialDelayMs?: number; circuitTrialDelayMsMax?: number; }; points?: { tiers?: ({ name: string; from: number; rate: number; })[]; }; pauses?: { orders?: boolean; payments?: boolean; refunds?: boolean; webhooks?: boolean; mails?: boolean; }; log?: { level?: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent"; }; }; origins: { [member: string]: unknown; }; };
    ConfigurationVersionPage: { items: (components["schemas"]["ConfigurationVersion"])[]; nextCursor?: string; };
    ConfigurationVersion: { version: number; settings: { rateLimit?: { enabled?: boolean; ordersPerSecond?: number; requestsPerSecond?: number; loginsPerMinute?: number; }; orders?: { backlogMax?: number; }; payments?: { gateway?: "simulated" | "http" | "stripe"; chargeTimeoutMs?: number; circuitFailuresMax?: number; circuitTrialDelayMs?: number; circuitTrialDelayMsMax?: number; }; points?: { tiers?: ({ name: string; from: number; rate: number; })[]; }; pauses?: { orders?: boolean; payments?: boolean; refunds?: boolean; webhooks?: boolean; mails?: boolean; }; log?: { level?: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent"; }; }; at: string; actor: string; reason: string | null; };
    ConfigurationRollback: { version: number; reason?: string; };
    Rebuild: { id: string; saleId: string; apply: boolean; state: "queued" | "done" | "failed"; actor: string; requestedAt: string; endedAt?: string; error?: string; reports: (components["schemas"]["PartitionRebuild"])[]; };
    PartitionRebuild: { saleId: string; partition: number; from: { epoch: number; seq: number; }; survivors: number; lost?: { fromSeq: number; toSeq: number; }; heldBack: { [member: string]: unknown; }; holds: number; stock: ({ productId: string; available: number; reserved: number; sold: number; undelivered: number; })[]; epoch?: number; };
    RebuildRequest: { apply?: boolean; };
    RebuildPage: { items: (components["schemas"]["Rebuild"])[]; nextCursor?: string; };
    ReceivedPaymentEvent: { id: string; replayed: boolean; };
    WebhookEndpointWithSecret: (components["schemas"]["WebhookEndpoint"]) & ({ secret: string; });
    WebhookEndpoint: { id: string; url: string; events: ("order.accepted" | "order.confirmed" | "order.cancelled" | "order.refunded")[]; enabled: boolean; disabledBy: "operator" | "failures" | null; failingSince: string | null; previousSecretUntil: string | null; createdBy: string; createdAt: string; updatedAt: string; };
    NewWebhookEndpoint: { url: string; events?: ("order.accepted" | "order.confirmed" | "order.cancelled" | "order.refunded")[]; };
    WebhookEndpointChange: { url?: string; events?: ("order.accepted" | "order.confirmed" | "order.cancelled" | "order.refunded")[]; enabled?: boolean; };
    WebhookDelivery: { id: number; eventId: string; type: string; orderTrackingId: string | null; version: number | null; at: string; state: "pending" | "delivered" | "dead"; tries: number; lastStatus: number | null; lastError: string | null; dueAt: string | null; endedAt: string | null; };
    WebhookDeliveryPage: { items: (components["schemas"]["WebhookDelivery"])[]; nextCursor?: string; };
    WebhookReplay: { deliveries?: (number)[]; };
    Wallet: { currency: string; balance: number; customerId: string; balances: ({ currency: string; balance: number; })[]; };
    WalletTransactionPage: { items: (components["schemas"]["WalletTransaction"])[]; nextCursor?: string; };
    WalletTransaction: { id: string; type: "deposit" | "charge" | "refund"; amount: number; currency: string; balance: number; orderTrackingId?: string; at: string; };
    Deposit: { id: string; customerId: string; amount: number; currency: string; balance: number; at: string; };
    NewDeposit: { amount: number; currency?: string; reason?: string; };
    Coupon: { code: string; amount: number | null; percent: number | null; maximum: number | null; minimumPrice: number | null; currency: string | null; perMemberLimit: number | null; validFrom: string; validUntil: string | null; saleIds: (string)[]; createdAt: string; closedAt: string | null; uses?: components["schemas"]["CouponUses"]; };
    /** For support and administrators */
    CouponUses: { limit: number; left: number; reserved: number; used: number; inTransit: number; retired: number; };
    NewCoupon: { code: string; amount?: number; percent?: number; maximum?: number; minimumPrice?: number; limit: number; perMemberLimit?: number; validFrom?: string; validUntil?: string; saleIds: (string)[]; };
    CouponPage: { items: (components["schemas"]["Coupon"])[]; nextCursor?: string; };
    ClosedCoupon: (components["schemas"]["Coupon"]) & ({ withdrawn: number; });
    Points: { customerId: string; balance: number; spend: number; currency: string; tier: string; rate: number; nextTier: { name: string; from: number; rate: number; missing: number; } | null; };
    PointsEntryPage: { items: (components["schemas"]["PointsEntry"])[]; nextCursor?: string; };
    PointsEntry: { id: string; kind: "earn" | "revoke" | "spend" | "give_back" | "adjust" | "forfeit"; amount: number; balance: number; orderTrackingId?: string; reason?: string; at: string; };
    PointsAdjustment: { id: string; customerId: string; amount: number; balance: number; reason: string | null; at: string; };
    NewPointsAdjustment: { amount: number; reason: string; };
    SupportThread: { id: string; customerId: string; subject: string; state: "open" | "closed"; version: number; customerRead: number; agentRead: number; createdAt: string; updatedAt: string; };
    NewSupportThread: { subject: string; text: string; };
    SupportThreadPage: { items: ({ id: string; customerId: string; subject: string; state: "open" | "closed"; version: number; customerRead: number; agentRead: number; createdAt: string; updatedAt: string; unread: number; })[]; nextCursor?: string; };
    SupportThreadChange: { state: "open" | "closed"; };
    SupportReadMark: { version: number; };
    SupportMessagePage: { items: (components["schemas"]["SupportMessage"])[]; nextCursor?: string; };
    SupportMessage: { id: string; version: number; from: "customer" | "agent"; authorId: string; clientId?: string; text: string; at: string; };
    NewSupportMessage: { text: string; clientId?: string; };
    NotificationPage: { items: (components["schemas"]["Notification"])[]; unread: number; nextCursor?: string; };
    Notification: { id: string; version: number; kind: "order" | "support"; orderTrackingId?: string; orderVersion?: number; status?: "PENDING" | "RESERVED" | "PAYING" | "PAID" | "CONFIRMED" | "CANCELLING" | "CANCELLED" | "REFUND_PENDING" | "REFUNDED"; reason?: "PAYMENT_DECLINED" | "PAYMENT_FAILED" | "EXPIRED" | "CUSTOMER" | "OPERATOR" | "LEDGER_GUARD"; fulfilment?: "packed" | "shipped" | "delivered"; threadId?: string; messageVersion?: number; at: string; read: boolean; };
    UnreadNotifications: { unread: number; };
    NotificationsRead: { upTo: number; };
    ProofKey: { keyId: string; algorithm: "Ed25519"; publicKey: string; };
    ConservationProof: { proof: { format: string; keyId: string; [member: string]: unknown; }; signature: string; };
    Explanation: { type: "accepted" | "refused" | "pending" | "set aside" | "counted"; [member: string]: unknown; };
    Health: { status: "ok"; };
    Reconciliation: { partitions: (components["schemas"]["ReconciliationPass"])[]; items: (components["schemas"]["Drift"])[]; nextCursor?: string; };
    ReconciliationPass: { saleId: string; partition: number; verdict: "CLEAN" | "DRIFT" | "UNCERTAIN"; reason: string | null; epoch: number | null; seq: number | null; passes: number; durationMs: number; at: string; ageMs: number; verdictSince: string; };
    Drift: { id: number; saleId: string; partition: number; kind: "STOCK_EDITED" | "LEDGER_EDITED" | "LIMIT_OFF" | "SETTINGS_OFF" | "HOLD_MISSING" | "HOLD_WITHOUT_ORDER" | "HOLD_OFF" | "ORDER_MISSING" | "MOVEMENT_LOST" | "STUCK_TRANSITION"; subject: string; detail: string; foundAt: string; seenAt: string; endedAt: string | null; };
  };
}

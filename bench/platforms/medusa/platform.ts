// Medusa: a purchase over its store API, by a guest.
import { answers, askJson } from "../http.ts";
import { ADMIN, type Place, type Platform, Refused, type Shop } from "../platform.ts";

const VERSION = "2.21.2";
const CLI = "node_modules/@medusajs/cli/cli.js";
const CURRENCY = "eur";
const COUNTRY = "de";
const PAYMENT_PROVIDER = "pp_system_default";

export const medusa: Platform = {
  name: "medusa",
  version: VERSION,
  dependencies: { "@medusajs/medusa": VERSION, "@medusajs/framework": VERSION, "@medusajs/cli": VERSION },
  files: { "medusa-config.js": "medusa/medusa-config.cjs" },
  preparation: [
    [CLI, "db:migrate"],
    [CLI, "user", "-e", ADMIN.email, "-p", ADMIN.password],
  ],
  server: [CLI, "start"],
  environment: ({ databaseUrl, port }) => ({
    DATABASE_URL: databaseUrl,
    PORT: String(port),
    HOST: "127.0.0.1",
    JWT_SECRET: "benchmark-only",
    COOKIE_SECRET: "benchmark-only",
    NODE_ENV: "production",
    MEDUSA_DISABLE_TELEMETRY: "true",
    LOG_LEVEL: "error",
  }),
  isUp: ({ port }) => answers(`http://127.0.0.1:${port}/health`),
  open: openShop,
};

type Ask = <Result>(method: "GET" | "POST", path: string, body?: unknown) => Promise<Result>;
type WithId<Name extends string> = Record<Name, { id: string }>;

async function openShop({ port }: Place): Promise<Shop> {
  const origin = `http://127.0.0.1:${port}`;
  const asking =
    (headers: Record<string, string>): Ask =>
    async <Result>(method: "GET" | "POST", path: string, body?: unknown) =>
      (await askJson<Result>(method, `${origin}${path}`, headers, body)).body;
  const { token } = await asking({})<{ token: string }>("POST", "/auth/user/emailpass", ADMIN);
  const admin = asking({ authorization: `Bearer ${token}` });
  const place = await setUp(admin);
  const store = asking({ "x-publishable-api-key": place.publishableKey });
  /** Inventory item and its level by variant. */
  const items = new Map<string, { itemId: string; orders: number }>();
  return {
    async offer(name, units) {
      const { product } = await admin<{ product: { variants: { id: string }[] } }>("POST", "/admin/products", {
        title: name,
        status: "published",
        shipping_profile_id: place.profileId,
        options: [{ title: "Size", values: ["One"] }],
        variants: [
          {
            title: "One",
            sku: name,
            manage_inventory: true,
            options: { Size: "One" },
            prices: [{ amount: 50, currency_code: CURRENCY }],
          },
        ],
        sales_channels: [{ id: place.channelId }],
      });
      const variantId = product.variants[0]?.id ?? "";
      const found = await admin<{ inventory_items: { id: string }[] }>("GET", `/admin/inventory-items?sku=${name}`);
      const itemId = found.inventory_items[0]?.id ?? "";
      const level = { location_id: place.locationId, stocked_quantity: units };
      await admin("POST", `/admin/inventory-items/${itemId}/location-levels`, level);
      items.set(variantId, { itemId, orders: await orders(admin) });
      return variantId;
    },
    purchase: (variantId, buyer) => purchase(store, place, variantId, buyer),
    async stockAfter(variantId) {
      const item = items.get(variantId);
      const { inventory_item } = await admin<{
        inventory_item: { location_levels: { stocked_quantity: number; reserved_quantity: number }[] };
      }>("GET", `/admin/inventory-items/${item?.itemId}?fields=*location_levels`);
      const [level] = inventory_item.location_levels;
      return {
        paid: (await orders(admin)) - (item?.orders ?? 0),
        left: (level?.stocked_quantity ?? 0) - (level?.reserved_quantity ?? 0),
      };
    },
  };
}

async function orders(admin: Ask): Promise<number> {
  return (await admin<{ count: number }>("GET", "/admin/orders?limit=1&fields=id")).count;
}

interface Surroundings {
  readonly regionId: string;
  readonly channelId: string;
  readonly locationId: string;
  readonly profileId: string;
  readonly optionId: string;
  readonly publishableKey: string;
}

/** What a shop needs before it has products: region, channel, place, shipping, key. */
async function setUp(admin: Ask): Promise<Surroundings> {
  const { stores } = await admin<{ stores: { id: string }[] }>("GET", "/admin/stores");
  await admin("POST", `/admin/stores/${stores[0]?.id}`, {
    supported_currencies: [{ currency_code: CURRENCY, is_default: true }],
  });
  const { sales_channel } = await admin<WithId<"sales_channel">>("POST", "/admin/sales-channels", { name: "bench" });
  const { region } = await admin<WithId<"region">>("POST", "/admin/regions", {
    name: "Europe",
    currency_code: CURRENCY,
    countries: [COUNTRY],
    payment_providers: [PAYMENT_PROVIDER],
  });
  await admin("POST", "/admin/tax-regions", { country_code: COUNTRY, provider_id: "tp_system" });
  const { stock_location } = await admin<WithId<"stock_location">>("POST", "/admin/stock-locations", { name: "bench" });
  const location = `/admin/stock-locations/${stock_location.id}`;
  await admin("POST", `${location}/sales-channels`, { add: [sales_channel.id] });
  await admin("POST", `${location}/fulfillment-providers`, { add: ["manual_manual"] });
  await admin("POST", `${location}/fulfillment-sets`, { name: "bench", type: "shipping" });
  const shipping = await admin<{ stock_location: { fulfillment_sets: { id: string }[] } }>(
    "GET",
    `${location}?fields=*fulfillment_sets`,
  );
  const set = shipping.stock_location.fulfillment_sets[0]?.id;
  const { fulfillment_set } = await admin<{ fulfillment_set: { service_zones: { id: string }[] } }>(
    "POST",
    `/admin/fulfillment-sets/${set}/service-zones`,
    { name: "bench", geo_zones: [{ type: "country", country_code: COUNTRY }] },
  );
  const { shipping_profile } = await admin<WithId<"shipping_profile">>("POST", "/admin/shipping-profiles", {
    name: "bench",
    type: "bench",
  });
  const { shipping_option } = await admin<WithId<"shipping_option">>("POST", "/admin/shipping-options", {
    name: "Standard",
    service_zone_id: fulfillment_set.service_zones[0]?.id,
    shipping_profile_id: shipping_profile.id,
    provider_id: "manual_manual",
    price_type: "flat",
    type: { label: "Standard", description: "Standard", code: "standard" },
    prices: [{ currency_code: CURRENCY, amount: 5 }],
    rules: [
      { attribute: "enabled_in_store", value: "true", operator: "eq" },
      { attribute: "is_return", value: "false", operator: "eq" },
    ],
  });
  const { api_key } = await admin<{ api_key: { id: string; token: string } }>("POST", "/admin/api-keys", {
    title: "bench",
    type: "publishable",
  });
  await admin("POST", `/admin/api-keys/${api_key.id}/sales-channels`, { add: [sales_channel.id] });
  return {
    regionId: region.id,
    channelId: sales_channel.id,
    locationId: stock_location.id,
    profileId: shipping_profile.id,
    optionId: shipping_option.id,
    publishableKey: api_key.token,
  };
}

async function purchase(store: Ask, place: Surroundings, variantId: string, buyer: string): Promise<void> {
  const { cart } = await store<WithId<"cart">>("POST", "/store/carts", {
    region_id: place.regionId,
    sales_channel_id: place.channelId,
  });
  await store("POST", `/store/carts/${cart.id}/line-items`, { variant_id: variantId, quantity: 1 });
  const address = {
    first_name: "A",
    last_name: "Buyer",
    address_1: "1 Main St",
    city: "Berlin",
    postal_code: "10115",
    country_code: COUNTRY,
  };
  await store("POST", `/store/carts/${cart.id}`, {
    email: `${buyer}@example.com`,
    shipping_address: address,
    billing_address: address,
  });
  const { shipping_options } = await store<{ shipping_options: { id: string }[] }>(
    "GET",
    `/store/shipping-options?cart_id=${cart.id}`,
  );
  const option = shipping_options.find(({ id }) => id === place.optionId);
  await store("POST", `/store/carts/${cart.id}/shipping-methods`, { option_id: option?.id });
  const { payment_collection } = await store<WithId<"payment_collection">>("POST", "/store/payment-collections", {
    cart_id: cart.id,
  });
  await store("POST", `/store/payment-collections/${payment_collection.id}/payment-sessions`, {
    provider_id: PAYMENT_PROVIDER,
  });
  const completed = await store<{ type: string; error?: { message: string } }>(
    "POST",
    `/store/carts/${cart.id}/complete`,
  );
  if (completed.type !== "order") throw new Refused(completed.error?.message ?? "the cart was not completed");
}

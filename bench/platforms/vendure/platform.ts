// Vendure: a purchase over its shop API, by a guest.
import { answers, askJson } from "../http.ts";
import { ADMIN, type Place, type Platform, Refused, type Shop } from "../platform.ts";

const VERSION = "3.7.3";

export const vendure: Platform = {
  name: "vendure",
  version: VERSION,
  dependencies: { "@vendure/core": VERSION, pg: "8.23.1" },
  // The newest @graphql-tools/delegate asks for a version of it that not every registry has.
  overrides: { "@graphql-tools/batch-execute": "10.2.0" },
  files: { "server.mjs": "vendure/server.mjs" },
  preparation: [],
  server: ["server.mjs"],
  environment: ({ databaseUrl, port }) => ({
    DATABASE_URL: databaseUrl,
    PORT: String(port),
    ADMIN_USER: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    NODE_ENV: "production",
  }),
  isUp: ({ port }) => answers(`http://127.0.0.1:${port}/health`),
  open: openShop,
};

type Variables = Readonly<Record<string, unknown>>;
/** Results of mutations that did not do what they were asked to. */
interface Outcome {
  readonly __typename?: string;
  readonly errorCode?: string;
  readonly message?: string;
}

async function openShop({ port }: Place): Promise<Shop> {
  const adminApi = `http://127.0.0.1:${port}/admin-api`;
  const shopApi = `http://127.0.0.1:${port}/shop-api`;
  const login = await graphql(adminApi, undefined, LOGIN, { username: ADMIN.email, password: ADMIN.password });
  const admin = <Result>(query: string, variables: Variables = {}) =>
    graphql<Result>(adminApi, login.token, query, variables).then(({ data }) => data);
  const taxes = await admin<{ taxCategories: { items: { id: string }[] } }>("{ taxCategories { items { id } } }");
  const taxCategoryId = taxes.taxCategories.items[0]?.id;
  // A channel's stock is tracked, and ends at 0, unless somebody says otherwise; here nobody does.
  return {
    async offer(name, units) {
      const { createProduct } = await admin<{ createProduct: { id: string } }>(CREATE_PRODUCT, { name, slug: name });
      const { createProductVariants } = await admin<{ createProductVariants: { id: string }[] }>(CREATE_VARIANT, {
        input: [
          {
            productId: createProduct.id,
            sku: name,
            price: 5_000,
            taxCategoryId,
            stockOnHand: units,
            trackInventory: "TRUE",
            translations: [{ languageCode: "en", name }],
          },
        ],
      });
      return createProductVariants[0]?.id ?? "";
    },
    purchase: (variantId, buyer) => purchase(shopApi, variantId, buyer),
    async stockAfter(variantId) {
      const { productVariant } = await admin<{
        productVariant: { stockLevels: { stockOnHand: number; stockAllocated: number }[] };
      }>("query ($id: ID!) { productVariant(id: $id) { stockLevels { stockOnHand stockAllocated } } }", {
        id: variantId,
      });
      const left = productVariant.stockLevels.reduce((sum, level) => sum + level.stockOnHand - level.stockAllocated, 0);
      return { paid: await paidOrders(admin, variantId), left };
    },
  };
}

async function purchase(api: string, variantId: string, buyer: string): Promise<void> {
  let token: string | undefined;
  const shop = async <Name extends string>(name: Name, query: string, variables: Variables) => {
    const answer = await graphql<Record<Name, Outcome & { state?: string }>>(api, token, query, variables);
    token ??= answer.token;
    const outcome = answer.data[name];
    if (outcome.errorCode) throw new Refused(`${name}: ${outcome.errorCode} ${outcome.message}`);
    return outcome;
  };
  await shop("addItemToOrder", mutation("addItemToOrder(productVariantId: $id, quantity: 1)", "$id: ID!"), {
    id: variantId,
  });
  await shop("setCustomerForOrder", mutation("setCustomerForOrder(input: $input)", "$input: CreateCustomerInput!"), {
    input: { firstName: "A", lastName: "Buyer", emailAddress: `${buyer}@example.com` },
  });
  await shop(
    "setOrderShippingAddress",
    mutation("setOrderShippingAddress(input: $input)", "$input: CreateAddressInput!"),
    {
      input: { fullName: "A Buyer", streetLine1: "1 Main St", city: "Berlin", postalCode: "10115", countryCode: "DE" },
    },
  );
  const { data } = await graphql<{ eligibleShippingMethods: { id: string }[] }>(
    api,
    token,
    "{ eligibleShippingMethods { id } }",
    {},
  );
  await shop("setOrderShippingMethod", mutation("setOrderShippingMethod(shippingMethodId: $ids)", "$ids: [ID!]!"), {
    ids: [data.eligibleShippingMethods[0]?.id],
  });
  await shop("transitionOrderToState", mutation("transitionOrderToState(state: $state)", "$state: String!"), {
    state: "ArrangingPayment",
  });
  const paid = await shop("addPaymentToOrder", mutation("addPaymentToOrder(input: $input)", "$input: PaymentInput!"), {
    input: { method: "standard-payment", metadata: {} },
  });
  if (paid.state !== "PaymentSettled") throw new Refused(`the order is ${paid.state}`);
}

const ORDERS_PAGE = 100;

/** Orders that are paid and have the variant in a line. */
async function paidOrders(
  admin: <Result>(query: string, variables?: Variables) => Promise<Result>,
  variantId: string,
): Promise<number> {
  let paid = 0;
  for (let skip = 0; ; skip += ORDERS_PAGE) {
    const { orders } = await admin<{ orders: { items: { lines: { productVariant: { id: string } }[] }[] } }>(
      `query ($skip: Int!, $take: Int!) {
        orders(options: { skip: $skip, take: $take, filter: { state: { eq: "PaymentSettled" } }, sort: { id: ASC } }) {
          items { lines { productVariant { id } } }
        }
      }`,
      { skip, take: ORDERS_PAGE },
    );
    paid += orders.items.filter(({ lines }) => lines.some((line) => line.productVariant.id === variantId)).length;
    if (orders.items.length < ORDERS_PAGE) return paid;
  }
}

const LOGIN = `mutation ($username: String!, $password: String!) {
  login(username: $username, password: $password) { __typename }
}`;
const CREATE_PRODUCT = `mutation ($name: String!, $slug: String!) {
  createProduct(input: {
    enabled: true, translations: [{ languageCode: en, name: $name, slug: $slug, description: "" }]
  }) { id }
}`;
const CREATE_VARIANT = `mutation ($input: [CreateProductVariantInput!]!) {
  createProductVariants(input: $input) { id }
}`;

function mutation(call: string, parameters: string): string {
  return `mutation (${parameters}) {
    ${call} { __typename ... on Order { id state } ... on ErrorResult { errorCode message } }
  }`;
}

/** @returns the data, and the session's token where it is a new one */
async function graphql<Result>(
  url: string,
  token: string | undefined,
  query: string,
  variables: Variables,
): Promise<{ data: Result; token: string | undefined }> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await askJson<{ data: Result; errors?: { message: string }[] }>("POST", url, headers, {
    query,
    variables,
  });
  const [error] = answer.body.errors ?? [];
  if (error) throw new Refused(error.message);
  return { data: answer.body.data, token: answer.headers.get("vendure-auth-token") ?? undefined };
}

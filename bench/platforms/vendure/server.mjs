// A Vendure server as its guide sets one up, for the benchmark: copied beside the packages that were installed for it, and
// told by the environment where to listen and where its database is. Tables are made and the first data is put in at the start.
import core from "@vendure/core";
import cli from "@vendure/core/cli/index.js";

const { bootstrap, dummyPaymentHandler, LanguageCode, DefaultLogger, LogLevel } = core;
const { PORT, DATABASE_URL, ADMIN_USER, ADMIN_PASSWORD } = process.env;

const config = {
  apiOptions: { hostname: "127.0.0.1", port: Number(PORT), adminApiPath: "admin-api", shopApiPath: "shop-api" },
  authOptions: {
    tokenMethod: "bearer",
    superadminCredentials: { identifier: ADMIN_USER, password: ADMIN_PASSWORD },
  },
  dbConnectionOptions: { type: "postgres", url: DATABASE_URL, synchronize: true, logging: false, poolSize: 20 },
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  logger: new DefaultLogger({ level: LogLevel.Error }),
  plugins: [],
};

const initialData = {
  defaultLanguage: LanguageCode.en,
  defaultZone: "Europe",
  countries: [{ name: "Germany", code: "DE", zone: "Europe" }],
  taxRates: [{ name: "Standard Tax", percentage: 20 }],
  shippingMethods: [{ name: "Standard Shipping", price: 500 }],
  paymentMethods: [
    {
      name: "Standard Payment",
      handler: { code: dummyPaymentHandler.code, arguments: [{ name: "automaticSettle", value: "true" }] },
    },
  ],
  collections: [],
};

await cli.populate(() => bootstrap(config), initialData);
process.stdout.write("READY\n");

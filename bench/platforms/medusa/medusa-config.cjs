// A Medusa project's configuration, for the benchmark: copied as medusa-config.js beside the packages that were installed for it.
// Modules are the default ones; the admin's pages are left out.
const { defineConfig } = require("@medusajs/framework/utils");

const { DATABASE_URL, JWT_SECRET, COOKIE_SECRET } = process.env;

module.exports = defineConfig({
  projectConfig: {
    databaseUrl: DATABASE_URL,
    databaseDriverOptions: { connection: { ssl: false } },
    http: {
      storeCors: "http://localhost",
      adminCors: "http://localhost",
      authCors: "http://localhost",
      jwtSecret: JWT_SECRET,
      cookieSecret: COOKIE_SECRET,
    },
  },
  admin: { disable: true },
});

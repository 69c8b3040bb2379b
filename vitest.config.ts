import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** A file of the second project runs servers of its own, and waits for them nearly half of the time. */
const FILES_AT_ONCE = Math.max(3, Math.min(4, Math.floor(availableParallelism() / 2)));

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: FILES_AT_ONCE,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    restoreMocks: true,
    // Of `npm run coverage` alone.
    coverage: {
      provider: "v8",
      include: ["{engine,api,persister,cli,client,runtime}/**/*.ts"],
      // What is generated, and what runs the tests themselves.
      exclude: ["client/schema.ts", "runtime/{coverage,coverage-table,test,tool}.ts"],
      autoAttachSubprocess: true,
      reportOnFailure: true,
      reporter: ["json", "html"],
      reportsDirectory: "coverage",
    },
    projects: [
      { extends: true, test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "servers",
          include: ["test/{lua,integration,e2e}/**/*.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
        },
      },
    ],
  },
});

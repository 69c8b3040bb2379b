// The sale `catalog`, which always exists: made by whichever API process starts first.
import { CATALOG_SALE_ID, createSale, findSale } from "../../engine/catalogue/sales.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { DEFAULT_CURRENCY } from "../../engine/money.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { announceCatalogue, carryToRedis, type Propagation } from "./propagation.ts";

/** Long before any clock's now. */
const ALWAYS_OPEN_SINCE = new Date("2000-01-01T00:00:00Z");

/** Creates it when it is missing, and sees to it that Redis has it. Repeatable; several may do it at once. */
export async function ensureCatalogSale(deps: Propagation & Pick<ApiDependencies, "config">): Promise<void> {
  const { pool, config } = deps;
  await transaction(pool, (client) =>
    createSale(
      client,
      {
        id: CATALOG_SALE_ID,
        name: "Catalog",
        currency: DEFAULT_CURRENCY,
        opensAt: ALWAYS_OPEN_SINCE,
        closesAt: null,
        reservationTtlMs: config.reservationTtlMs,
        partitions: 1,
        onDecline: "release",
        membersOnly: false,
        stockVisibility: "exact",
        items: [],
      },
      "system",
    ),
  );
  const sale = await findSale(pool, CATALOG_SALE_ID);
  if (sale?.partitionEpochs.some((partition) => partition.state === "new")) {
    await carryToRedis(deps, CATALOG_SALE_ID);
    await announceCatalogue(deps);
  }
}

// The tiers and what they earn, as a section of the runtime configuration.
import { z } from "zod";
import { type SettingIssue, section } from "../configuration/section.ts";
import { latestVersion } from "../configuration/versions.ts";
import type { Queryable } from "../ledger/database.ts";
import { AMOUNT_MAX } from "../money.ts";
import { type PointsTiers, RATE_WHOLE, TIERS_DEFAULT } from "./tiers.ts";

const TIERS_MAX = 20;

const tiers = z
  .array(
    z.strictObject({
      name: z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N} _-]{0,39}$/u, "must be 1 to 40 letters, digits, spaces, - or _"),
      from: z.int().min(0).max(AMOUNT_MAX),
      rate: z.int().min(0).max(RATE_WHOLE),
    }),
  )
  .min(1)
  .max(TIERS_MAX);

/** What holds counts for orders that are confirmed from then on; what was earned stays. */
export const pointsSection = section({
  schema: z.strictObject({ tiers }),
  defaults: () => ({ tiers: [...TIERS_DEFAULT] }),
  variables: {},
  check: ({ tiers }) => (tiers ? issuesOf(tiers) : []),
});

/** The tiers that are stored, for whoever does not follow the configuration; the default where none are that can be used. */
export async function readTiers(db: Queryable): Promise<PointsTiers> {
  const version = await latestVersion(db);
  const stored = tiers.safeParse(version?.settings.points?.tiers);
  return stored.success ? stored.data : TIERS_DEFAULT;
}

function issuesOf(given: PointsTiers): SettingIssue[] {
  return given.flatMap(({ name, from }, i) => {
    const before = given[i - 1];
    if (!before && from !== 0) return [{ path: "tiers.0.from", message: "must be 0: the first tier is everybody's" }];
    if (before && from <= before.from) {
      return [{ path: `tiers.${i}.from`, message: `must be above that of the tier before it, ${before.from}` }];
    }
    if (given.findIndex((tier) => tier.name === name) < i) {
      return [{ path: `tiers.${i}.name`, message: "is the name of another tier" }];
    }
    return [];
  });
}

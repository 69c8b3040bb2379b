// A payment provider's webhooks on bad ways: doubled, late, out of order, lost, changed, forged, from long ago.
import { MISCHIEFS, type Mischief } from "../../support/faults/webhook-relay.ts";
import { type Fault, unmet, until, untilMoreAccepted } from "./fault.ts";

/** Each of them at least so often. */
const TIMES = { full: 25, short: 4 } as const;
const WITHIN_MS = 60_000;
const SHOWN_MAX = 5;

export const webhooksShuffled: Fault = {
  name: "webhooks-shuffled",
  title:
    "webhooks doubled, late, reordered, lost, changed, forged, replayed: one effect, and what is not genuine refused",
  quick: true,
  load: { hardCards: { tokens: ["tok_pending", "tok_pending", "tok_slow", "tok_timeout"], part: 0.3 }, refunds: 0.2 },
  settings: ({ webhooks }) => ({ gateway: { PAYMENT_WEBHOOK_URL: webhooks.url } }),
  async strike(stage) {
    const { system, random, pace, history } = stage;
    const { counts, wrong, refused: refusedBefore } = system.webhooks;
    const before = { ...counts };
    const since = wrong.length;
    const times = (mischief: Mischief) => counts[mischief] - before[mischief];
    system.webhooks.misbehave(random);
    await until(() => MISCHIEFS.every((mischief) => times(mischief) >= TIMES[pace]), WITHIN_MS);
    const healedAtMs = history.now;
    await system.webhooks.heal();
    await untilMoreAccepted(stage, 10);
    const refused = system.webhooks.refused - refusedBefore;
    const ungenuine = times("tampered") + times("forged") + times("stale");
    const problems = wrong.slice(since, since + SHOWN_MAX);
    if (refused !== ungenuine) problems.push(`${refused} refused of ${ungenuine} that were not genuine`);
    const told = MISCHIEFS.map((mischief) => `${times(mischief)} ${mischief}`);
    return {
      fired: Math.min(...MISCHIEFS.map(times)),
      planned: TIMES[pace],
      evidence: `of the deliveries ${told.join(", ")}; ${refused} refused`,
      healedAtMs,
      broken: problems.map((text) => unmet("what is not genuine is refused, and nothing else", text, 5)),
    };
  },
};

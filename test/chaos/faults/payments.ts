// Payments that hang: cards that are charged and never answered, and slow ones, among those of everybody else.
import type { Books, OrderRow, Violation } from "../checker/books.ts";
import { placementsOf } from "../history.ts";
import { type Fault, type Stage, unmet, untilMoreAccepted } from "./fault.ts";

const HANGING = "tok_timeout";
/** Payments that begin this close to each other share their job. */
const TOGETHER_MS = 50;

export const paymentsHang: Fault = {
  name: "payments-hang",
  title: "cards charged and never answered: found by their key, charged once, nothing released; others need not wait",
  load: { hardCards: { tokens: [HANGING, HANGING, "tok_slow"], part: 0.08 } },
  async strike(stage) {
    await untilMoreAccepted(stage, 150);
    const hanging = hangingOrders(stage).size;
    return { fired: hanging, evidence: `${hanging} orders paid by a card that is charged and never answers` };
  },
  verify: (stage, books) => [...foundByKey(stage, books), ...neighboursDoNotWait(stage, books)],
};

function hangingOrders({ history }: Stage): ReadonlySet<string> {
  return new Set(
    placementsOf(history.events).flatMap(({ payment, orderIds }) => (payment?.token === HANGING ? orderIds : [])),
  );
}

/** Such a card pays: the provider's ledger says so, and whoever asks it learns that. */
function foundByKey(stage: Stage, { orders }: Books): Violation[] {
  const hanging = hangingOrders(stage);
  const wrong = orders.filter(({ id, status }) => hanging.has(id) && status !== "CONFIRMED");
  return wrong.map(({ id, status }) =>
    unmet("a charge whose answer is lost is found by its key", `${id} is ${status}`, 5),
  );
}

/** What began together with a hanging payment ended before it. */
function neighboursDoNotWait(stage: Stage, { orders }: Books): Violation[] {
  const hanging = hangingOrders(stage);
  const slow = new Set(
    placementsOf(stage.history.events).flatMap(({ payment, orderIds }) =>
      payment?.token === "tok_ok" || payment?.token === undefined ? [] : orderIds,
    ),
  );
  const spanOf = ({ timeline }: OrderRow) => {
    const from = timeline.findIndex(({ status }) => status === "PAYING");
    return { from: timeline[from]?.atMs ?? Number.NaN, to: timeline[from + 1]?.atMs ?? Number.NaN };
  };
  const spans = orders.filter(({ id }) => !slow.has(id)).map((order) => ({ id: order.id, ...spanOf(order) }));
  return orders
    .filter(({ id }) => hanging.has(id))
    .flatMap((order) => {
      const { from, to } = spanOf(order);
      const late = spans.filter((span) => Math.abs(span.from - from) < TOGETHER_MS && span.to >= to);
      return late
        .slice(0, 1)
        .map(({ id }) => unmet("nobody waits for a hanging payment", `${id} waited for ${order.id}`));
    });
}

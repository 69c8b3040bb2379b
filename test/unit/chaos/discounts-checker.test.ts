// The checker of the fault suite where a price was lowered: each broken promise about coupons and points is found.
import { describe, expect, it } from "vitest";
import type { Books, OrderRow } from "../../chaos/checker/books.ts";
import { checkDiscounts } from "../../chaos/checker/discounts.ts";
import type { Placement } from "../../chaos/history.ts";
import { order, PRODUCT, soundBooks } from "./sound-books.ts";

const COUPON = "00000000-0000-4000-8000-0000000000cc";
const KIM = "cus_kim";

const line = (productId: string) => ({ productId, quantity: 1, returned: 0, restocked: 0 });
const discounts = (points: number) => ({ couponId: COUPON, couponCode: "TEN", couponAmount: 100, points });

/** An order of 1,000 with a coupon and points that is confirmed and was refunded by half, and one that was cancelled. */
function sound(): Books {
  const way = ["PENDING", "RESERVED", "PAYING", "PAID", "CONFIRMED"] as const;
  const kept = order("kept", KIM, 1, way, {
    ...{ price: 10_000, payable: 9_700, discounts: discounts(200), refundedAmount: 4_850 },
    lines: [line(PRODUCT), line(COUPON)],
  });
  const gone = order("gone", KIM, 1, ["PENDING", "RESERVED", "CANCELLING", "CANCELLED"], {
    ...{ price: 10_000, payable: 9_800, discounts: discounts(100), reason: "CUSTOMER", stockState: "released" },
    lines: [line(PRODUCT), line(COUPON)],
  });
  const entry = (orderId: string | null, kind: string, amount: number, balance: number, spend = 0) => {
    return { customerId: KIM, orderId, kind, amount, balance, spend };
  };
  return {
    ...soundBooks(),
    orders: [kept, gone],
    coupons: [{ id: COUPON, code: "TEN", limit: 1 }],
    points: {
      accounts: [{ customerId: KIM, balance: 349, spend: 4_850 }],
      entries: [
        entry(null, "adjust", 500, 500),
        entry("kept", "spend", -200, 300),
        entry("gone", "spend", -100, 200),
        entry("kept", "earn", 97, 297, 9_700),
        entry("gone", "give_back", 100, 397),
        entry("kept", "revoke", -48, 349, -4_850),
      ],
    },
  };
}

const PLACEMENTS = [
  ["kept", 200],
  ["gone", 100],
].map(([id, points]) => ({ orderIds: [id], couponCode: "TEN", points })) as unknown as Placement[];
const claims = (books: Books, placements = PLACEMENTS) => [
  ...new Set(checkDiscounts(books, placements).map(({ claim }) => claim)),
];
const changed = (id: string, change: Partial<OrderRow>, books = sound()): Books => ({
  ...books,
  orders: books.orders.map((each) => (each.id === id ? { ...each, ...change } : each)),
});
const points = (change: (points: Books["points"]) => Partial<Books["points"]>): Books => {
  const books = sound();
  return { ...books, points: { ...books.points, ...change(books.points) } };
};
const without = (kind: string, id: string) =>
  points(({ entries }) => ({ entries: entries.filter((entry) => entry.kind !== kind || entry.orderId !== id) }));

it("in sound books nothing is found", () => {
  expect(checkDiscounts(sound(), PLACEMENTS)).toEqual([]);
  expect(checkDiscounts(soundBooks(), [])).toEqual([]);
});

describe("a violation is found where", () => {
  it.each<[what: string, claim: string, books: Books]>([
    ["an order pays another sum", "an order pays its price less its discounts", changed("kept", { payable: 9_701 })],
    ["no use was taken", "an order with a coupon takes one use of it", changed("kept", { lines: [line(PRODUCT)] })],
    [
      "two uses were taken",
      "an order with a coupon takes one use of it",
      changed("kept", { lines: [line(PRODUCT), { ...line(COUPON), quantity: 2 }] }),
    ],
    ["a use was taken for nothing", "an order with a coupon takes one use of it", changed("kept", { discounts: null })],
    [
      "a coupon was used too often",
      "a coupon has no more uses than it was made with",
      changed("gone", { stockState: "sold" }),
    ],
    [
      "points are spent of a cancelled order",
      "points are spent once and given back once",
      without("give_back", "gone"),
    ],
    ["points are not spent", "points are spent once and given back once", without("spend", "kept")],
    [
      "points came back of an order that stands",
      "points are spent once and given back once",
      changed("gone", { status: "CONFIRMED" }),
    ],
    ["nothing was earned", "points are earned once and go with what is refunded", without("earn", "kept")],
    ["nothing was taken back", "points are earned once and go with what is refunded", without("revoke", "kept")],
    ["another has them", "points are those of the order's member", changed("kept", { customerId: "cus_lee" })],
    [
      "more was spent than there was",
      "only points that are there are spent",
      points(({ entries }) => ({ entries: entries.map((entry, i) => (i === 0 ? { ...entry, amount: 250 } : entry)) })),
    ],
    [
      "an account has another balance",
      "points add up",
      points(({ accounts }) => ({ accounts: accounts.map((account) => ({ ...account, balance: 1 })) })),
    ],
    ["an account is gone", "points add up", points(() => ({ accounts: [] }))],
  ])("%s: %s", (_, claim, books) => {
    expect(claims(books)).toContain(claim);
  });

  it("an order has other discounts than were asked for", () => {
    for (const other of [{ points: 201 }, { couponCode: undefined }]) {
      const placements = PLACEMENTS.map((each) => ({ ...each, ...other }));
      expect(claims(sound(), placements)).toEqual(["an order has the discounts that were asked for"]);
    }
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ReceiptContents, type ReceiptFacts, signReceipt, verifyReceipt } from "../../../engine/receipt.ts";

const SECRET = "s".repeat(32);
const FACTS: ReceiptFacts = {
  orderId: "6919a1f0-0001-8000-8000-000000000000",
  saleId: "spring-sale",
  partition: 3,
  epoch: 2,
  seq: 71,
  reservation: 5_001,
  reservedUntilMs: 1_795_000_000_000,
};
const COFFEE = { productId: "8f14e45f-ceea-467f-a8f9-b0d1e2c3a4b5", quantity: 2, unitPrice: 5_000 };
const TEA = { productId: "0b2f6d0e-8a54-4c5c-9a43-8d9d4f3a1c77", quantity: 1, unitPrice: 3_000 };
const CONTENTS: ReceiptContents = {
  customerId: "3b12f1df-5232-4804-897e-917bf397618a",
  items: [COFFEE, TEA],
  price: 13_000,
  payable: 12_000,
  currency: "KRW",
};

describe("a receipt", () => {
  it("gives its facts back to who has the secret", () => {
    expect(verifyReceipt(signReceipt(FACTS, CONTENTS, SECRET), CONTENTS, SECRET)).toEqual(FACTS);
  });

  it("never changes its format: receipts outlive the release that signed them", () => {
    const { orderId } = FACTS;
    expect(signReceipt(FACTS, CONTENTS, SECRET)).toMatch(
      new RegExp(`^r2\\.${orderId}\\.spring-sale\\.3\\.2\\.71\\.5001\\.1795000000000\\.[\\w-]{43}$`),
    );
  });

  it("never changes what its signature covers", () => {
    expect(signReceipt(FACTS, CONTENTS, SECRET).split(".")[8]).toBe("PmKtSA6D_aDxyiyM7hNCkoE4AhlunHGfaJWeyURjiyA");
  });

  it("covers what the price was lowered by", () => {
    const lowered = { ...CONTENTS, couponCode: "TEN", discount: 400, points: 600 };
    const receipt = signReceipt(FACTS, lowered, SECRET);
    expect(verifyReceipt(receipt, lowered, SECRET)).toEqual(FACTS);
    for (const other of [{ couponCode: "ELEVEN" }, { discount: 500, points: 500 }, { points: 601 }]) {
      expect(verifyReceipt(receipt, { ...lowered, ...other }, SECRET)).toBeUndefined();
    }
    expect(verifyReceipt(receipt, CONTENTS, SECRET)).toBeUndefined();
  });

  it("counts under a secret of before, where that is named", () => {
    const receipt = signReceipt(FACTS, CONTENTS, SECRET);
    const next = "n".repeat(32);
    expect(verifyReceipt(receipt, CONTENTS, [next, SECRET])).toEqual(FACTS);
    expect(verifyReceipt(receipt, CONTENTS, [next])).toBeUndefined();
  });

  it.each<[what: string, contents: Partial<ReceiptContents>]>([
    ["buyer", { customerId: "3b12f1df-5232-4804-897e-917bf397618b" }],
    ["product", { items: [{ ...COFFEE, productId: TEA.productId }, TEA] }],
    ["quantity", { items: [{ ...COFFEE, quantity: 3 }, TEA] }],
    ["price of a unit", { items: [{ ...COFFEE, unitPrice: 1 }, TEA] }],
    ["line more", { items: [COFFEE, TEA, TEA] }],
    ["line less", { items: [COFFEE] }],
    ["total", { price: 13_001 }],
    ["amount to pay", { payable: 0 }],
    ["currency", { currency: "JPY" }],
    ["coupon", { couponCode: "TEN", discount: 1_000 }],
    ["spend of points", { points: 1_000 }],
  ])("is nothing for an order with another %s", (_what, contents) => {
    expect(verifyReceipt(signReceipt(FACTS, CONTENTS, SECRET), { ...CONTENTS, ...contents }, SECRET)).toBeUndefined();
  });

  it("cannot be moved to another order by a buyer's name that reads like the rest of one", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (mine, other) => {
        const receipt = signReceipt(FACTS, { ...CONTENTS, customerId: mine, currency: other }, SECRET);
        const swapped = { ...CONTENTS, customerId: other, currency: mine };
        expect(verifyReceipt(receipt, swapped, SECRET) !== undefined).toBe(mine === other);
      }),
    );
  });

  it("is nothing under another secret", () => {
    expect(verifyReceipt(signReceipt(FACTS, CONTENTS, SECRET), CONTENTS, `${SECRET}x`)).toBeUndefined();
  });

  it("is nothing when a single character is changed, added or taken away", () => {
    const receipt = signReceipt(FACTS, CONTENTS, SECRET);
    for (let at = 0; at < receipt.length; at += 1) {
      const other = receipt[at] === "1" ? "2" : "1";
      const [before, after] = [receipt.slice(0, at), receipt.slice(at + 1)];
      for (const tampered of [
        `${before}${other}${after}`,
        `${before}${after}`,
        `${before}${other}${receipt[at]}${after}`,
      ]) {
        expect(verifyReceipt(tampered, CONTENTS, SECRET)).toBeUndefined();
      }
    }
  });

  it("is nothing when it was never one", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.string(), { minLength: 9, maxLength: 9 }).map((p) => p.join(".")),
        ),
        (text) => {
          expect(verifyReceipt(text, CONTENTS, SECRET)).toBeUndefined();
        },
      ),
    );
  });

  it("does not carry the facts of one order under the signature of another", () => {
    const [mine, other] = [
      signReceipt(FACTS, CONTENTS, SECRET),
      signReceipt({ ...FACTS, reservation: 1 }, CONTENTS, SECRET),
    ];
    const forged = [...mine.split(".").slice(0, 8), other.split(".")[8]].join(".");
    expect(verifyReceipt(forged, CONTENTS, SECRET)).toBeUndefined();
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ReceiptFacts, signReceipt, verifyReceipt } from "../../../engine/receipt.ts";

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

describe("a receipt", () => {
  it("gives its facts back to who has the secret", () => {
    expect(verifyReceipt(signReceipt(FACTS, SECRET), SECRET)).toEqual(FACTS);
  });

  it("never changes its format: receipts outlive the release that signed them", () => {
    const { orderId } = FACTS;
    expect(signReceipt(FACTS, SECRET)).toMatch(
      new RegExp(`^r1\\.${orderId}\\.spring-sale\\.3\\.2\\.71\\.5001\\.1795000000000\\.[\\w-]{43}$`),
    );
  });

  it("is nothing under another secret", () => {
    expect(verifyReceipt(signReceipt(FACTS, SECRET), `${SECRET}x`)).toBeUndefined();
  });

  it("is nothing when a single character is changed, added or taken away", () => {
    const receipt = signReceipt(FACTS, SECRET);
    for (let at = 0; at < receipt.length; at += 1) {
      const other = receipt[at] === "1" ? "2" : "1";
      const [before, after] = [receipt.slice(0, at), receipt.slice(at + 1)];
      for (const tampered of [
        `${before}${other}${after}`,
        `${before}${after}`,
        `${before}${other}${receipt[at]}${after}`,
      ]) {
        expect(verifyReceipt(tampered, SECRET)).toBeUndefined();
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
          expect(verifyReceipt(text, SECRET)).toBeUndefined();
        },
      ),
    );
  });

  it("does not carry the facts of one order under the signature of another", () => {
    const [mine, other] = [signReceipt(FACTS, SECRET), signReceipt({ ...FACTS, reservation: 1 }, SECRET)];
    const forged = [...mine.split(".").slice(0, 8), other.split(".")[8]].join(".");
    expect(verifyReceipt(forged, SECRET)).toBeUndefined();
  });
});

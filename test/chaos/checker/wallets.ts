// Promise 5, for the wallets' own books: what every account holds is what moved in and out of it, it was never below zero, and
// every charge and refund moved once what it says.
import type { Books, Violation, WalletTransfer } from "./books.ts";

export function checkWallets({ wallets: { accounts, transfers, charges } }: Books): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string, key?: string) => {
    const orderId = key?.split(":")[0];
    violations.push({
      promise: 5,
      claim: "the wallets' books agree",
      detail,
      ...(orderId !== undefined && { orderId }),
    });
  };

  // Every transfer is a debit and a credit of one amount: the sum of all entries is zero by its form.
  const held = new Map<number, number>();
  const members = new Set(accounts.filter(({ balance }) => balance !== null).map(({ id }) => id));
  for (const { id, kind, debit, credit, amount, balance } of transfers) {
    held.set(debit, (held.get(debit) ?? 0) - amount);
    held.set(credit, (held.get(credit) ?? 0) + amount);
    const own = kind === "charge" ? debit : credit;
    if (!members.has(own) || members.has(kind === "charge" ? credit : debit)) {
      broken(`transfer ${id} is not between a member and the shop`);
    }
    const now = held.get(own) ?? 0;
    if (now !== balance || now < 0) broken(`after transfer ${id} the account holds ${now}, it says ${balance}`);
  }
  for (const { id, owner, balance } of accounts) {
    const sum = held.get(id) ?? 0;
    if (balance !== null && balance !== sum) broken(`${owner} holds ${balance}, the transfers add up to ${sum}`);
  }

  const of = (kind: WalletTransfer["kind"]) => transfers.filter((transfer) => transfer.kind === kind);
  const moved = Map.groupBy(of("charge"), ({ reference }) => reference);
  for (const { key, amount } of charges) {
    const amounts = (moved.get(key) ?? []).map((transfer) => transfer.amount);
    moved.delete(key);
    if (amounts.length !== 1 || amounts[0] !== amount) {
      broken(`${key} charged ${amount}, its transfers moved ${amounts.join(" and ") || "nothing"}`, key);
    }
  }
  for (const key of moved.keys()) broken(`money was taken for ${key}, and no charge says so`, key);
  const keys = new Set(charges.map(({ key }) => key));
  const back = Map.groupBy(of("refund"), ({ chargeKey }) => chargeKey ?? "");
  for (const { key, refunded } of charges) {
    const sum = (back.get(key) ?? []).reduce((total, { amount }) => total + amount, 0);
    if (sum !== refunded) broken(`${key} gave ${refunded} back, its transfers ${sum}`, key);
  }
  for (const key of back.keys()) if (!keys.has(key)) broken(`money went back for ${key}, which took none`, key);
  return violations;
}

// A small, independent model of wallets: what each call must be answered, one at a time. Pure.

export type Expected = "succeeded" | "declined" | "reused" | "not_found" | "exceeds" | "conflict" | "replayed";

export type WalletStep =
  | { readonly type: "deposit"; readonly who: number; readonly amount: number; readonly key: string }
  | { readonly type: "charge"; readonly who: number; readonly amount: number; readonly key: string }
  | { readonly type: "refund"; readonly chargeKey: string; readonly amount: number; readonly key: string };

interface ModelCharge {
  readonly who: number;
  readonly amount: number;
  readonly expected: "succeeded" | "declined";
  left: number;
}

export class WalletModel {
  readonly balances: number[];
  readonly #deposits = new Map<string, number>();
  readonly #charges = new Map<string, ModelCharge>();
  readonly #refunds = new Map<string, { chargeKey: string; amount: number }>();

  constructor(balances: readonly number[]) {
    this.balances = [...balances];
  }

  apply(step: WalletStep): Expected {
    switch (step.type) {
      case "deposit":
        return this.#deposit(step);
      case "charge":
        return this.#charge(step);
      case "refund":
        return this.#refund(step);
    }
  }

  #deposit({ who, amount, key }: WalletStep & { type: "deposit" }): Expected {
    const scope = `${who} ${key}`;
    const known = this.#deposits.get(scope);
    if (known !== undefined) return known === amount ? "replayed" : "conflict";
    this.#deposits.set(scope, amount);
    this.#move(who, amount);
    return "succeeded";
  }

  #charge({ who, amount, key }: WalletStep & { type: "charge" }): Expected {
    const known = this.#charges.get(key);
    if (known) return known.who === who && known.amount === amount ? known.expected : "reused";
    const expected = (this.balances[who] ?? 0) >= amount ? "succeeded" : "declined";
    if (expected === "succeeded") this.#move(who, -amount);
    this.#charges.set(key, { who, amount, expected, left: amount });
    return expected;
  }

  #refund({ chargeKey, amount, key }: WalletStep & { type: "refund" }): Expected {
    const known = this.#refunds.get(key);
    if (known) return known.chargeKey === chargeKey && known.amount === amount ? "succeeded" : "reused";
    const charge = this.#charges.get(chargeKey);
    if (charge?.expected !== "succeeded") return "not_found";
    if (charge.left < amount) return "exceeds";
    charge.left -= amount;
    this.#move(charge.who, amount);
    this.#refunds.set(key, { chargeKey, amount });
    return "succeeded";
  }

  #move(who: number, amount: number): void {
    this.balances[who] = (this.balances[who] ?? 0) + amount;
  }
}

// The payment providers that the port's contract is tried on (gateway-contract.test.ts), each with what only it can tell: which
// token ends how, how a charge's answer is lost, what its books say.
import { afterAll } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import type { ChargeRequest, PaymentProvider } from "../../persister/jobs/gateway/gateway.ts";
import { httpGateway } from "../../persister/jobs/gateway/http.ts";
import { openProvider } from "../../persister/jobs/gateway/provider/provider.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { stripeGateway } from "../../persister/jobs/gateway/stripe/stripe.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { STRIPE_KEY, startStripeServer } from "../support/stripe/server.ts";
import { API_KEY, startGatewayProcess } from "./gateway-process.ts";
import { openWalletShop } from "./wallet-shop.ts";

export interface Adapter {
  readonly provider: PaymentProvider;
  /** A token whose charges succeed, and one whose are declined with this code. */
  token(): Promise<string>;
  readonly declined: { readonly token: () => Promise<string>; readonly code: string };
  /** A token whose charges are pending, and what decides them; where there are such. */
  readonly pending?: { readonly token: string; settle(): void };
  /** Has a charge made whose answer nobody hears. Its outcome, or rejection, says nothing. */
  chargeUnheard?(request: ChargeRequest): Promise<unknown>;
  /** Whether refunds are refused; where that can be told. */
  refuseRefunds?(refuse: boolean): Promise<unknown>;
  /** What the provider has taken under the keys, less what it gave back. */
  moneyOf(keys: readonly string[]): Promise<number>;
}

/** Longer than the calls take that find it undecided. */
const PENDING_MS = 3_000;

export const ADAPTERS: Readonly<Record<string, () => Promise<Adapter>>> = {
  simulated: async () => {
    const database = await createTestDatabase();
    const pool = (connectionsMax: number) =>
      openPool(
        database.url,
        { connectionsMax, applicationName: "simulated", statementTimeoutMs: 10_000 },
        () => undefined,
      );
    const provider = openSimulatedGateway(pool(4), { pendingMs: PENDING_MS });
    const control = openProvider(pool(2), { pendingMs: PENDING_MS });
    afterAll(() => Promise.all([provider.close(), control.close()]));
    return {
      provider,
      ...simulatedTokens,
      chargeUnheard: (request) => provider.charge({ ...request, token: "tok_timeout" }, AbortSignal.timeout(200)),
      refuseRefunds: (refuse) => control.setRefundMode(refuse ? "refuse" : "accept"),
      moneyOf: async (keys) => sumOf(await control.ledger("", 1_000), keys),
    };
  },

  http: async () => {
    const database = await createTestDatabase();
    const service = await startGatewayProcess(database.url, { PAYMENT_PENDING_MS: String(PENDING_MS) });
    const provider = httpGateway({ url: service.url, apiKey: API_KEY });
    afterAll(() => Promise.all([provider.close(), service.stop()]));
    return {
      provider,
      ...simulatedTokens,
      chargeUnheard: (request) => provider.charge({ ...request, token: "tok_timeout" }, AbortSignal.timeout(200)),
      refuseRefunds: (refuse) => service.ask("PUT", "/refund-mode", { mode: refuse ? "refuse" : "accept" }),
      async moneyOf(keys) {
        const { body } = await service.ask("GET", "/ledger?limit=1000");
        return sumOf(body["charges"] as readonly LedgerCharge[], keys);
      },
    };
  },

  stripe: async () => {
    const stripe = await startStripeServer();
    const provider = stripeGateway({ apiKey: STRIPE_KEY, url: stripe.url });
    afterAll(() => Promise.all([provider.close(), stripe.stop()]));
    return {
      provider,
      token: async () => "pm_card_visa",
      declined: { token: async () => "pm_card_chargeDeclinedInsufficientFunds", code: "insufficient_funds" },
      pending: { token: "pm_usBankAccount", settle: () => stripe.books.settle() },
      async chargeUnheard(request) {
        stripe.fault = ({ route }) => (route.endsWith("/confirm") ? "lost" : undefined);
        const outcome = await provider.charge(request, AbortSignal.timeout(10_000));
        stripe.fault = () => undefined;
        return outcome;
      },
      async refuseRefunds(refuse) {
        const error = { type: "invalid_request_error", code: "refund_disabled", message: "Not at present." };
        stripe.fault = ({ method, route }) =>
          refuse && method === "POST" && route === "/refunds" ? { status: 400, body: { error } } : undefined;
      },
      async moneyOf(keys) {
        const taken = keys.flatMap((key) => stripe.books.intentsOf(key)).filter(({ status }) => status === "succeeded");
        return taken.reduce((sum, { id, amount }) => sum + amount - stripe.books.refundedOf(id), 0);
      },
    };
  },

  wallet: async () => {
    const { workers, member, deposit, pool } = await openWalletShop();
    return {
      provider: workers[0],
      async token() {
        const owner = await member();
        await deposit(owner, 1_000_000);
        return owner;
      },
      declined: { token: member, code: "insufficient_funds" },
      async moneyOf(keys) {
        const sql = `SELECT COALESCE(sum(amount - refunded), 0)::int AS money FROM wallet_charges
          WHERE state = 'succeeded' AND key = ANY($1)`;
        return (await pool.query<{ money: number }>(sql, [keys])).rows[0]?.money ?? 0;
      },
    };
  },
};

const simulatedTokens = {
  token: async () => "tok_ok",
  declined: { token: async () => "tok_insufficient", code: "insufficient_funds" },
  // It decides by itself.
  pending: { token: "tok_pending", settle: () => undefined },
};

interface LedgerCharge {
  readonly key: string;
  readonly state: string;
  readonly amount: number;
  readonly refunded: number;
}

function sumOf(charges: readonly LedgerCharge[], keys: readonly string[]): number {
  const ours = charges.filter(({ key, state }) => state === "succeeded" && keys.includes(key));
  return ours.reduce((sum, { amount, refunded }) => sum + amount - refunded, 0);
}

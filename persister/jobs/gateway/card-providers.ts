// The providers of payments by card, among which the runtime configuration chooses. Payments that begin are taken to the one
// that is chosen now; what began at another one is asked about and refunded there, however often the choice changes. A
// provider is opened when it is first asked, and anew when it is to be asked in another way: the one before is closed when the
// last call to it is over, and its circuits are forgotten with it.
import { PAYMENT_GATEWAYS, type PaymentGatewayName } from "../../../engine/config.ts";
import { PAYMENT_TUNING } from "../../../engine/configuration/sections.ts";
import type { Settings } from "../../../engine/configuration/settings.ts";
import type { PaymentProvider } from "./gateway.ts";
import type { ProviderTuning } from "./open.ts";

export interface CardProviders {
  /** Those that this worker is set up for. */
  readonly known: readonly PaymentGatewayName[];
  /** Where payments begin now. */
  readonly chosen: PaymentGatewayName | null;
  /** `null`: the environment's own. One that is not known answers that it cannot be reached. */
  of(name: PaymentGatewayName | null): PaymentProvider;
  configure(payments: Settings["payments"]): void;
  close(): Promise<void>;
}

export interface CardProviderOptions {
  /** What the environment names. */
  readonly own: PaymentGatewayName;
  readonly known: readonly PaymentGatewayName[];
  readonly open: (name: PaymentGatewayName, tuning: ProviderTuning) => Promise<PaymentProvider>;
}

/** Resolves when the environment's own is open. @throws what opening it throws */
export async function openCardProviders({ own, known, open }: CardProviderOptions): Promise<CardProviders> {
  let chosen = own;
  let tuning: ProviderTuning = PAYMENT_TUNING;
  const providers = new Map(known.map((name) => [name, new Reopened(() => open(name, tuning))]));
  await providers.get(own)?.open();
  return {
    known: PAYMENT_GATEWAYS.filter((name) => providers.has(name)),
    get chosen() {
      return chosen;
    },
    of: (name) => providers.get(name ?? own) ?? UNKNOWN_HERE,
    configure({ gateway, ...next }) {
      chosen = gateway;
      const isOther = JSON.stringify(next) !== JSON.stringify(tuning);
      tuning = next;
      if (isOther) for (const provider of providers.values()) provider.reopen();
    },
    async close() {
      await Promise.all([...providers.values()].map((provider) => provider.close()));
    },
  };
}

/** One provider that nobody chooses: for tests, and for programs that bring their own. */
export function onlyProvider(provider: PaymentProvider): CardProviders {
  return {
    known: [],
    chosen: null,
    of: () => provider,
    configure: () => undefined,
    close: () => provider.close(),
  };
}

const NOT_SET_UP = { type: "unsent", code: "gateway_not_configured" } as const;
const UNKNOWN_HERE: PaymentProvider = {
  charge: async () => NOT_SET_UP,
  lookup: async () => NOT_SET_UP,
  refund: async () => NOT_SET_UP,
  lookupRefund: async () => NOT_SET_UP,
  close: async () => undefined,
};

interface Opened {
  readonly provider: Promise<PaymentProvider>;
  calls: number;
  isRetired: boolean;
}

/** A provider that can be opened anew behind the calls that are out. */
class Reopened implements PaymentProvider {
  readonly #open: () => Promise<PaymentProvider>;
  #present: Opened | undefined;
  readonly #retired = new Set<Opened>();

  constructor(open: () => Promise<PaymentProvider>) {
    this.#open = open;
  }

  charge: PaymentProvider["charge"] = (request, signal) => this.#ask((provider) => provider.charge(request, signal));

  lookup: PaymentProvider["lookup"] = (key, signal, facts) =>
    this.#ask((provider) => provider.lookup(key, signal, facts));

  refund: PaymentProvider["refund"] = (request, signal) => this.#ask((provider) => provider.refund(request, signal));

  lookupRefund: PaymentProvider["lookupRefund"] = (key, signal, facts) =>
    this.#ask((provider) => provider.lookupRefund(key, signal, facts));

  async open(): Promise<void> {
    await this.#opened().provider;
  }

  /** Calls that begin from now on are another one's; one that was never asked stays unopened. */
  reopen(): void {
    const before = this.#present;
    if (!before) return;
    before.isRetired = true;
    this.#retired.add(before);
    this.#present = undefined;
    this.#opened();
    void this.#closeIdle(before);
  }

  /** Cuts the calls that are out. */
  async close(): Promise<void> {
    const opened = [...this.#retired, ...(this.#present ? [this.#present] : [])];
    await Promise.all(opened.map(closeOne));
  }

  #opened(): Opened {
    if (this.#present) return this.#present;
    const opened = { provider: this.#open(), calls: 0, isRetired: false };
    this.#present = opened;
    // Whoever asks it hears of it; the next one who does opens another.
    opened.provider.catch(() => {
      if (this.#present === opened) this.#present = undefined;
    });
    return opened;
  }

  async #ask<T>(call: (provider: PaymentProvider) => Promise<T>): Promise<T> {
    const opened = this.#opened();
    opened.calls += 1;
    try {
      return await call(await opened.provider);
    } finally {
      opened.calls -= 1;
      void this.#closeIdle(opened);
    }
  }

  async #closeIdle(opened: Opened): Promise<void> {
    if (!opened.isRetired || opened.calls > 0 || !this.#retired.delete(opened)) return;
    await closeOne(opened);
  }
}

/** What could not be opened needs no closing, and nothing waits for what is being left. */
async function closeOne({ provider }: Opened): Promise<void> {
  await provider.then((opened) => opened.close()).catch(() => undefined);
}

// What the benchmark needs of a commerce platform: how it is installed and started, and a guest's complete purchase.

/** Where one runs. */
export interface Place {
  /** Holds its packages; nothing of the repository. */
  readonly directory: string;
  readonly databaseUrl: string;
  readonly port: number;
}

/** A product's stock as the platform's own books have it after a rush. */
export interface StockAfter {
  /** Orders that are complete and paid, by the platform's own list. */
  readonly paid: number;
  /** Units that it says can still be bought; below zero it has sold what it does not have. */
  readonly left: number;
}

/** A product that guests can buy. */
export interface Shop {
  /** Puts a new product up for sale. @returns what its buyers name it by */
  offer(name: string, units: number): Promise<string>;
  /** Cart, line, address, shipping, payment, completion. @throws Refused when the platform will not sell */
  purchase(product: string, buyer: string): Promise<void>;
  stockAfter(product: string): Promise<StockAfter>;
}

export interface Platform {
  readonly name: "medusa" | "vendure";
  readonly version: string;
  /** package.json of what is installed for it. */
  readonly dependencies: Readonly<Record<string, string>>;
  readonly overrides?: Readonly<Record<string, string>>;
  /** Files that lie beside the packages: name there, and module of this folder. */
  readonly files: Readonly<Record<string, string>>;
  /** Commands that run once on the new database, each to its end: arguments of Node. */
  readonly preparation: readonly (readonly string[])[];
  /** Arguments of Node that start its server. */
  readonly server: readonly string[];
  environment(place: Place): Readonly<Record<string, string>>;
  /** Resolves when it serves and there is everything but products. */
  open(place: Place): Promise<Shop>;
  /** Whether it serves yet. */
  isUp(place: Place): Promise<boolean>;
}

/** The platform answered, and did not sell. */
export class Refused extends Error {}

export const ADMIN = { email: "bench@onrush.local", password: "benchmark-only" } as const;

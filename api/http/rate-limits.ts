// The API's rate limits: orders and other requests by client address, orders by buyer too, sign-ins by e-mail
// and address, messages to support by author.
import type { Config } from "../../engine/config.ts";
import { TokenBuckets } from "./token-buckets.ts";

export interface RateLimits {
  /** Each throws OnrushError with `RATE_LIMITED` when there were too many. */
  request(address: string): void;
  order(address: string): void;
  orderOf(buyer: string): void;
  login(email: string, address: string): void;
  /** Of support, by who writes it, over HTTP and WebSocket together. */
  message(author: string): void;
}

/** A sale's first seconds are a burst by nature: a rested bucket holds this many seconds' worth. */
const BURST_SECONDS = 5;
/** Sign-ins from one address, over all e-mails, as a multiple of those with one: an office signs in behind one. */
const LOGINS_OF_ADDRESS = 10;
/** Sign-ins with one e-mail, over all addresses: bounds who guesses from many, and leaves the owner room meanwhile. */
const LOGINS_AT_EMAIL = 5;
/** What somebody writes to support within a minute; nobody types faster, and a customer has one at a time to read it. */
const MESSAGES_PER_MINUTE = 30;

const UNLIMITED: RateLimits = {
  request: () => undefined,
  order: () => undefined,
  orderOf: () => undefined,
  login: () => undefined,
  message: () => undefined,
};

export function createRateLimits(config: Config["rateLimit"], now?: () => number): RateLimits {
  if (!config.enabled) return UNLIMITED;
  const perSecond = (rate: number) =>
    new TokenBuckets({ perSecond: rate, burst: rate * BURST_SECONDS, ...(now && { now }) });
  const perMinute = (count: number) => new TokenBuckets({ perSecond: count / 60, burst: count, ...(now && { now }) });
  const requests = perSecond(config.requestsPerSecond);
  const ordersOfAddress = perSecond(config.ordersPerSecond);
  const ordersOfBuyer = perSecond(config.ordersPerSecond);
  const loginsOfAddress = perMinute(config.loginsPerMinute * LOGINS_OF_ADDRESS);
  const loginsOfEmail = perMinute(config.loginsPerMinute);
  const loginsAtEmail = perMinute(config.loginsPerMinute * LOGINS_AT_EMAIL);
  const messages = perMinute(MESSAGES_PER_MINUTE);
  return {
    request: (address) => requests.take(address),
    order: (address) => ordersOfAddress.take(address),
    orderOf: (buyer) => ordersOfBuyer.take(buyer),
    login(email, address) {
      loginsOfAddress.take(address);
      loginsOfEmail.take(`${address} ${email}`);
      loginsAtEmail.take(email);
    },
    message: (author) => messages.take(author),
  };
}

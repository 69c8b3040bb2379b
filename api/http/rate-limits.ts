// The API's rate limits: orders and other requests by client address, orders by buyer too, sign-ins by e-mail
// and address, messages to support by author, wrong coupon codes by who tries them.
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
  /** Of coupon codes that are none: whether another may be tried by somebody, a member or an address; and that one was wrong. */
  guess(guesser: string): void;
  guessedWrong(guesser: string): void;
  /** Puts other rates in force, or none; who has used one up does not start anew. */
  configure(rates: Rates): void;
}

type Rates = Config["rateLimit"];

/** A sale's first seconds are a burst by nature: a rested bucket holds this many seconds' worth. */
const BURST_SECONDS = 5;
/** Sign-ins from one address, over all e-mails, as a multiple of those with one: an office signs in behind one. */
const LOGINS_OF_ADDRESS = 10;
/** Sign-ins with one e-mail, over all addresses: bounds who guesses from many, and leaves the owner room meanwhile. */
const LOGINS_AT_EMAIL = 5;
/** What somebody writes to support within a minute; nobody types faster, and a customer has one at a time to read it. */
const MESSAGES_PER_MINUTE = 30;
/** Wrong codes within a minute: somebody who mistypes, and nobody who searches. */
const WRONG_CODES_PER_MINUTE = 20;

export function createRateLimits(rates: Rates, now?: () => number): RateLimits {
  let { enabled } = rates;
  const buckets = (rate: ReturnType<typeof perSecond>) => new TokenBuckets({ ...rate, ...(now && { now }) });
  const requests = buckets(perSecond(rates.requestsPerSecond));
  const ordersOfAddress = buckets(perSecond(rates.ordersPerSecond));
  const ordersOfBuyer = buckets(perSecond(rates.ordersPerSecond));
  const loginsOfAddress = buckets(perMinute(rates.loginsPerMinute * LOGINS_OF_ADDRESS));
  const loginsOfEmail = buckets(perMinute(rates.loginsPerMinute));
  const loginsAtEmail = buckets(perMinute(rates.loginsPerMinute * LOGINS_AT_EMAIL));
  const messages = buckets(perMinute(MESSAGES_PER_MINUTE));
  const wrongCodes = buckets(perMinute(WRONG_CODES_PER_MINUTE));
  return {
    request(address) {
      if (enabled) requests.take(address);
    },
    order(address) {
      if (enabled) ordersOfAddress.take(address);
    },
    orderOf(buyer) {
      if (enabled) ordersOfBuyer.take(buyer);
    },
    login(email, address) {
      if (!enabled) return;
      loginsOfAddress.take(address);
      loginsOfEmail.take(`${address} ${email}`);
      loginsAtEmail.take(email);
    },
    message(author) {
      if (enabled) messages.take(author);
    },
    guess(guesser) {
      if (enabled) wrongCodes.check(guesser);
    },
    guessedWrong(guesser) {
      if (enabled) wrongCodes.take(guesser);
    },
    configure(next) {
      enabled = next.enabled;
      requests.setRate(perSecond(next.requestsPerSecond));
      ordersOfAddress.setRate(perSecond(next.ordersPerSecond));
      ordersOfBuyer.setRate(perSecond(next.ordersPerSecond));
      loginsOfAddress.setRate(perMinute(next.loginsPerMinute * LOGINS_OF_ADDRESS));
      loginsOfEmail.setRate(perMinute(next.loginsPerMinute));
      loginsAtEmail.setRate(perMinute(next.loginsPerMinute * LOGINS_AT_EMAIL));
    },
  };
}

function perSecond(rate: number) {
  return { perSecond: rate, burst: rate * BURST_SECONDS };
}

function perMinute(count: number) {
  return { perSecond: count / 60, burst: count };
}

// Where webhooks may go. Whoever may name an endpoint could otherwise make the worker call what only the worker can reach: its
// own machine, its network, the metadata service of its cloud. A URL is checked when it is given, and every address that its
// name resolves to right before a connection is made to one of them.
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { invalidInput } from "../catalogue/operator.ts";

export const WEBHOOK_URL_MAX = 2_000;
/** What is routed on the Internet of IPv6; everything else is local, reserved, or another way to write an IPv4 address. */
const GLOBAL_UNICAST = ipaddr.parseCIDR("2000::/3");
/** Public by its range, and answered by the host of a virtual machine: Azure's metadata and agents. */
const HOSTS_OWN: ReadonlySet<string> = new Set(["168.63.129.16"]);

/** Whether the address is one of the Internet. What is none at all is not. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast" || HOSTS_OWN.has(parsed.toString())) return false;
  return parsed.kind() === "ipv4" || parsed.match(GLOBAL_UNICAST);
}

/** The host of a URL if it is an address, however it was written: `http://0x7f.1` says 127.0.0.1. */
export function literalAddressOf(url: URL): string | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return ipaddr.isValid(host) ? host : undefined;
}

/**
 * Reads the URL of an endpoint. A name is not resolved here: what it resolves to can change.
 *
 * @throws OnrushError with `VALIDATION`
 */
export function checkWebhookUrl(text: string, allowPrivate: boolean): URL {
  const url = URL.parse(text);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:"))
    throw invalidInput("url", "must be an https URL");
  if (text.length > WEBHOOK_URL_MAX || url.href.length > WEBHOOK_URL_MAX) {
    throw invalidInput("url", `must have at most ${WEBHOOK_URL_MAX} characters`);
  }
  if (url.username !== "" || url.password !== "") throw invalidInput("url", "must not have a user or a password");
  if (url.hash !== "") throw invalidInput("url", "must not have a fragment");
  if (allowPrivate) return url;
  if (url.protocol !== "https:") throw invalidInput("url", "must be an https URL");
  const literal = literalAddressOf(url);
  if ((literal && !isPublicAddress(literal)) || /(^|\.)localhost\.?$/.test(url.hostname)) {
    throw invalidInput("url", "must not name a private address");
  }
  return url;
}

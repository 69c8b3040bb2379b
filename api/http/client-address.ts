// Who is calling, for rate limits: the socket's address, or what trusted proxies say they were called by.
import { BlockList, isIP } from "node:net";
import { ConfigError } from "../../engine/config.ts";

/** Reads it from the address of the socket and the `X-Forwarded-For` that came with the request. */
export type ClientAddress = (socketAddress: string | undefined, forwardedFor: string | null | undefined) => string;

const UNKNOWN = "unknown";

/**
 * Makes the reader of client addresses. `X-Forwarded-For` is read from the right, and only past addresses that are
 * trusted: what is left of those was written by the client itself.
 *
 * @param trusted addresses and networks (`10.0.0.0/8`) of the proxies
 * @throws ConfigError when one of them is neither
 */
export function clientAddressReader(trusted: readonly string[]): ClientAddress {
  const addressOf = (socketAddress: string | undefined) => plain(socketAddress ?? UNKNOWN);
  if (trusted.length === 0) return (socketAddress) => network(addressOf(socketAddress));
  const proxies = blockListOf(trusted);
  const isProxy = (address: string) =>
    isIP(address) !== 0 && proxies.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return (socketAddress, forwardedFor) => {
    let address = addressOf(socketAddress);
    const hops = (forwardedFor ?? "").split(",").map((hop) => plain(hop.trim()));
    while (isProxy(address)) {
      const hop = hops.pop();
      if (hop === undefined || isIP(hop) === 0) break;
      address = hop;
    }
    return network(address);
  };
}

function plain(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/** One subscriber of IPv6 commands a /64: its addresses count as one. */
function network(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? 0 : tail.split(":").length;
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest;
  const all = [...groups, ...Array<string>(Math.max(0, zeros)).fill("0"), ...(tail ? tail.split(":") : [])];
  return `${all.slice(0, 4).join(":")}::/64`;
}

function blockListOf(trusted: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of trusted) {
    const [address = "", prefix] = entry.split("/");
    const version = isIP(address);
    if (version === 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) {
      throw new ConfigError([`TRUSTED_PROXIES: ${entry} is neither an address nor a network`]);
    }
    const family = version === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

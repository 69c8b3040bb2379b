// Where webhooks may go, however it is written.
import { describe, expect, it } from "vitest";
import { OnrushError } from "../../../engine/errors.ts";
import { checkWebhookUrl, isPublicAddress, literalAddressOf } from "../../../engine/webhooks/address.ts";

const PUBLIC = [
  "8.8.8.8",
  "93.184.216.34",
  "172.15.255.255",
  "172.32.0.1",
  "2606:4700:4700::1111",
  "2a00:1450:4001::8a",
];
const PRIVATE = {
  loopback: ["127.0.0.1", "127.255.255.254", "::1"],
  unspecified: ["0.0.0.0", "0.1.2.3", "::"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
  "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0"],
  metadata: ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
  "carrier-grade NAT": ["100.64.0.1"],
  "unique local": ["fc00::1", "fdff::1"],
  "site-local": ["fec0::1"],
  multicast: ["224.0.0.1", "239.255.255.255", "ff02::1"],
  "broadcast and reserved": ["255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "2001:db8::1"],
  "IPv4 within IPv6": [
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001::1",
  ],
  "no address": ["", "localhost", "1.2.3", "1.2.3.4.5", "8.8.8.8/32", "x"],
};

describe("an address", () => {
  it.each(PUBLIC)("%s is public", (address) => expect(isPublicAddress(address)).toBe(true));
  it.each(Object.entries(PRIVATE).flatMap(([kind, addresses]) => addresses.map((address) => ({ kind, address }))))(
    "$address is not ($kind)",
    ({ address }) => expect(isPublicAddress(address)).toBe(false),
  );
});

const refusalOf = (url: string, allowPrivate = false): string => {
  try {
    return checkWebhookUrl(url, allowPrivate).href;
  } catch (error) {
    if (!(error instanceof OnrushError)) throw error;
    expect(error.code).toBe("VALIDATION");
    return (error.facts["errors"] as { path: string; message: string }[]).map((issue) => issue.message).join();
  }
};

describe("the URL of an endpoint", () => {
  it.each(["https://shop.example/hooks", "https://8.8.8.8/", "https://[2606:4700:4700::1111]:8443/x?y=1"])(
    "%s",
    (url) => {
      expect(refusalOf(url)).toBe(url);
    },
  );

  // As decimal, octal, hexadecimal and shortened numbers: all of them say 127.0.0.1.
  it.each([
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://0x7f.0.0.1/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/",
    "https://10.1/",
    "https://0/",
  ])("%s names a private address", (url) => {
    expect(refusalOf(url)).toBe("must not name a private address");
    expect(literalAddressOf(new URL(url)) ?? "localhost").not.toBe("");
    expect(refusalOf(url, true)).toBe(new URL(url).href);
  });

  it.each([
    ["http://shop.example/", "must be an https URL"],
    ["ftp://shop.example/", "must be an https URL"],
    ["file:///etc/passwd", "must be an https URL"],
    ["javascript:alert(1)", "must be an https URL"],
    ["shop.example", "must be an https URL"],
    ["https://", "must be an https URL"],
    ["https://256.1.1.1/", "must be an https URL"],
    ["https://user@shop.example/", "must not have a user or a password"],
    ["https://:pass@shop.example/", "must not have a user or a password"],
    ["https://shop.example/#x", "must not have a fragment"],
    [`https://shop.example/${"x".repeat(2_000)}`, "must have at most 2000 characters"],
  ])("%s: %s", (url, message) => expect(refusalOf(url)).toBe(message));

  it("may be http where private addresses are allowed, and never anything else", () => {
    expect(refusalOf("http://127.0.0.1:8080/x", true)).toBe("http://127.0.0.1:8080/x");
    expect(refusalOf("ftp://127.0.0.1/", true)).toBe("must be an https URL");
  });
});

// What `npm start` prints when everything serves.

export type BannerFacts = {
  /** Null when this instance runs no API. */
  apiUrl: string | null;
  dataDirectory: string;
  adminEmail: string;
  /** Only when it was generated and has not been shown before. */
  newPassword: string | undefined;
};

/** A buyer and a product that the demo catalogue has. */
const FIRST_ORDER = {
  customerId: "3fa85f64-5717-4562-b3fc-2c963f66afa6",
  items: [{ productId: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", quantity: 1 }],
};

export function banner(facts: BannerFacts): string {
  const { apiUrl } = facts;
  const lines =
    apiUrl === null ? ["Onrush is running (no API in ROLES)."] : ["Onrush is running.", "", ...places(apiUrl)];
  lines.push("", `  Data           ${facts.dataDirectory}`, `  Administrator  ${administrator(facts)}`);
  if (apiUrl !== null) lines.push("", "  A first order:", "", firstOrder(apiUrl));
  lines.push("", "  Ctrl-C stops everything; what was sold stays.");
  return `\n${lines.join("\n")}\n\n`;
}

function places(apiUrl: string): string[] {
  return [`  API            ${apiUrl}/api/v1`, `  Reference      ${apiUrl}/docs`];
}

function administrator({ adminEmail, newPassword }: BannerFacts): string {
  return newPassword ? `${adminEmail}   password ${newPassword}   (shown this once)` : adminEmail;
}

function firstOrder(apiUrl: string): string {
  return [
    `  curl -i ${apiUrl}/api/v1/orders -H 'content-type: application/json' \\`,
    `    -d '${JSON.stringify(FIRST_ORDER)}'`,
  ].join("\n");
}

// Who a run knows by name: members, who have wallets, and the administrator.
import { HttpClient, member } from "../../demo/http.ts";
import { asAdministrator, create } from "./shop.ts";
import type { System } from "./system.ts";

export interface Member {
  readonly id: string;
  readonly token: string;
}

export interface People {
  readonly members: readonly Member[];
  /** The headers that show the administrator. */
  readonly administrator: Readonly<Record<string, string>>;
}

/** Signs members up; `name` tells those of one run from those of others. */
export async function signUp(system: System, name: string, count: number): Promise<People> {
  const http = new HttpClient(system.apiUrl, 2);
  try {
    const signedUp = Array.from({ length: count }, async (_, i) => {
      const account = { email: `${name}-${i}@chaos.example`, name: `Kim ${i}`, password: "only for chaos" };
      const answer = await create(http, "/api/v1/auth/signup", account);
      return { id: String(member(answer, "id")), token: String(member(answer, "accessToken")) };
    });
    return { members: await Promise.all(signedUp), administrator: await asAdministrator(http) };
  } finally {
    http.close();
  }
}

// JSON over HTTP to a platform, every request bounded.
import { Refused } from "./platform.ts";

const TIMEOUT_MS = 120_000;

export interface Answer<Body> {
  readonly body: Body;
  readonly headers: Headers;
}

/** @throws Refused for an answer that is none of 2xx; another Error when there is none */
export async function askJson<Body>(
  method: "GET" | "POST",
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown,
): Promise<Answer<Body>> {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  if (!response.ok)
    throw new Refused(`${response.status} of ${method} ${new URL(url).pathname}: ${text.slice(0, 300)}`);
  return { body: JSON.parse(text) as Body, headers: response.headers };
}

export async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(5_000) })).status < 500;
  } catch {
    return false;
  }
}

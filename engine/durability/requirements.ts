// What each acknowledgement mode needs of the Redis server, and what a server's settings are good for. Pure: reading the
// settings is server-settings.ts, acting on them server-gate.ts.
import type { AckMode } from "../config.ts";

/** What a server says of itself; `undefined` where it does not say, as managed servers often do not. */
export interface ServerSettings {
  /** Another one after each start of the server's process. */
  readonly runId: string | undefined;
  readonly role: string | undefined;
  readonly maxmemoryPolicy: string | undefined;
  readonly appendonly: string | undefined;
  readonly appendfsync: string | undefined;
  readonly noAppendfsyncOnRewrite: string | undefined;
}

/** What the server's own disk gives to an order once its script was answered. */
export type ServerLevel = Extract<AckMode, "fast" | "fsync">;

export interface Judgement {
  /** One clause a setting that does not fit, with its value and what is needed. Empty: orders may be admitted. */
  readonly problems: readonly string[];
  /** Settings that matter in this mode and that the server does not tell. */
  readonly unverified: readonly string[];
  /** The most that is known to be true: an untold setting is never counted upon. */
  readonly level: ServerLevel;
}

interface Requirement {
  readonly setting: string;
  readonly value: string | undefined;
  readonly allowed: readonly string[];
  /** Ends the sentence "… needs". */
  readonly needs: string;
}

export function judgeServer(settings: ServerSettings, ackMode: AckMode): Judgement {
  const required = requirementsOf(settings, ackMode);
  return {
    problems: required
      .filter(({ value, allowed }) => value !== undefined && !allowed.includes(value))
      .map(({ setting, value, needs }) => `${setting} is ${value}, ${needs}`),
    unverified: required.filter(({ value }) => value === undefined).map(({ setting }) => setting),
    level: syncsEveryWrite(settings) ? "fsync" : "fast",
  };
}

function requirementsOf(settings: ServerSettings, ackMode: AckMode): Requirement[] {
  const { role, maxmemoryPolicy, appendonly, appendfsync, noAppendfsyncOnRewrite } = settings;
  const mode = `ACK_MODE=${ackMode} needs`;
  const always: Requirement[] = [
    { setting: "role", value: role, allowed: ["master"], needs: "orders need master" },
    {
      setting: "maxmemory-policy",
      value: maxmemoryPolicy,
      allowed: ["noeviction"],
      // An evicted reservation would be stock that nobody accounts for.
      needs: "reservations need noeviction",
    },
    { setting: "appendonly", value: appendonly, allowed: ["yes"], needs: `${mode} yes` },
  ];
  if (ackMode !== "fsync") {
    const allowed = ["everysec", "always"];
    return [...always, { setting: "appendfsync", value: appendfsync, allowed, needs: `${mode} everysec or always` }];
  }
  return [
    ...always,
    { setting: "appendfsync", value: appendfsync, allowed: ["always"], needs: `${mode} always` },
    {
      setting: "no-appendfsync-on-rewrite",
      value: noAppendfsyncOnRewrite,
      allowed: ["no"],
      needs: `${mode} no`,
    },
  ];
}

function syncsEveryWrite({ appendonly, appendfsync, noAppendfsyncOnRewrite }: ServerSettings): boolean {
  return appendonly === "yes" && appendfsync === "always" && noAppendfsyncOnRewrite === "no";
}

// Who may do what on Redis: one user a role, with what that role's work needs and no more. A role that is taken over can
// neither wipe the server nor reach a key outside `onrush:`. The same list serves a Redis that is run by others:
// `aclFile` prints it for an ACL file of theirs.
import { createHash } from "node:crypto";

export const REDIS_ROLES = ["onrush_api", "onrush_persister", "onrush_worker", "onrush_admin"] as const;
export type RedisRole = (typeof REDIS_ROLES)[number];
export type RedisPasswords = Record<RedisRole, string>;

const KEYS_AND_CHANNELS = "~onrush:* &onrush:*";

/** Data commands and scripts, without what is dangerous (FLUSHALL, KEYS, CONFIG SET, SHUTDOWN, ...) or administrative. */
const WORK = [
  "-@all +@read +@write +@connection +@transaction +@pubsub +@blocking -@dangerous",
  "+eval +evalsha +script|load +script|exists",
  "+time +info +config|get +wait +role +cluster|slots +cluster|shards +cluster|nodes +cluster|info",
].join(" ");

/** The order stream is moved on by the persister alone: others append to it through scripts, and may read it. */
const NOT_THE_CONSUMER = "-xack -xgroup -xreadgroup -xclaim -xautoclaim -xtrim -xdel -xsetid";

const RULES: Record<RedisRole, string> = {
  onrush_api: `${KEYS_AND_CHANNELS} ${WORK} ${NOT_THE_CONSUMER} +xgroup|create`,
  onrush_persister: `${KEYS_AND_CHANNELS} ${WORK}`,
  onrush_worker: `${KEYS_AND_CHANNELS} ${WORK} ${NOT_THE_CONSUMER} +xgroup|create`,
  onrush_admin: "~* &* +@all",
};

/**
 * Nobody can log in as the default user, but it must be allowed everything all the same: Redis loads its append-only file
 * as that user and checks each EXEC against it, so that with fewer rights it skips every script and transaction in the
 * file, with a line in its log, and serves what is left. Seen on 7.0.15; a test keeps it from coming back.
 */
const DEFAULT_USER = "user default off resetpass ~* &* +@all";

/** Content of an ACL file. It holds digests, not passwords. */
export function aclFile(passwords: RedisPasswords): string {
  const users = REDIS_ROLES.map((role) => {
    const digest = createHash("sha256").update(passwords[role]).digest("hex");
    return `user ${role} on sanitize-payload #${digest} ${RULES[role]}`;
  });
  return `${[DEFAULT_USER, ...users].join("\n")}\n`;
}

// `Prefer: wait=N` (RFC 7240, section 4.3): how many seconds the buyer would wait for the commit.

export const WAIT_SECONDS_MAX = 30;
/** A longer header is not read: preferences may be ignored, and taking one apart must cost nothing. */
const HEADER_LENGTH_MAX = 256;
const ELEMENT = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/g;
const WAIT = /^\s*wait\s*(?:=\s*(?:"(\d{1,9})"|(\d{1,9}))\s*)?(?:;|$)/i;
const NAMES_WAIT = /^\s*wait\s*(?:[=;]|$)/i;

/**
 * Reads the seconds to wait, at most {@link WAIT_SECONDS_MAX}; `undefined` without the preference. A malformed one counts as
 * none, and of several the first one counts, as the RFC has it.
 */
export function readWaitSeconds(prefer: string | null | undefined): number | undefined {
  if (prefer === null || prefer === undefined || prefer.length > HEADER_LENGTH_MAX) return undefined;
  const first = prefer.match(ELEMENT)?.find((element) => NAMES_WAIT.test(element));
  const [, quoted, bare] = first?.match(WAIT) ?? [];
  const seconds = Number(quoted ?? bare ?? 0);
  return seconds >= 1 ? Math.min(seconds, WAIT_SECONDS_MAX) : undefined;
}

/** A failure of an instance whose message is one clear sentence for the person who started it. */
export class StartFailure extends Error {
  override name = "StartFailure";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

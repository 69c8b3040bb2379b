// Names for requests that were refused: what an answer shows and `onrush orders explain` takes. They are made here, as an id
// from outside could forge log lines, and they carry their second, so that even a refusal of which only the count was kept
// can be placed.

const prefix = `${process.pid.toString(36)}${Date.now().toString(36)}`;
const REQUEST_ID = /^[0-9a-z]{8,20}-[0-9a-z]{1,11}_([0-9a-z]{1,8})$/;
let count = 0;
let second = 0;
let suffix = "";

/** A name that no other request of any process has. @param nowMs wall clock */
export function nextRequestId(nowMs: number = Date.now()): string {
  count += 1;
  const now = Math.floor(nowMs / 1_000);
  if (now !== second) {
    second = now;
    suffix = `_${now.toString(36)}`;
  }
  return `${prefix}-${count.toString(36)}${suffix}`;
}

/** The second in which a request was refused (since 1970), or `undefined` when the text is no such id. */
export function secondOfRequest(id: string): number | undefined {
  const [, text] = REQUEST_ID.exec(id) ?? [];
  return text === undefined ? undefined : Number.parseInt(text, 36);
}

// What bookings on members' accounts are told by on the terminal: whose it is, and under which key it is made once.
import type { Queryable } from "../engine/ledger/database.ts";
import { findMemberId } from "../engine/members/users.ts";
import { unknownMember } from "../engine/wallet/deposits.ts";
import { wrongValue } from "./command.ts";

/** @throws OnrushError with `NOT_FOUND` */
export async function knownMember(db: Queryable, who: string): Promise<string> {
  const id = await findMemberId(db, who);
  if (id === undefined) throw unknownMember(who);
  return id;
}

export function readKey(given: string): string {
  if (!/^[\x20-\x7e]{1,255}$/.test(given)) throw wrongValue("must be 1 to 255 printable ASCII characters.");
  return given;
}

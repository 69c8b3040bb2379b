// The first administrator, from the configuration.
import type { Queryable } from "../../engine/ledger/database.ts";
import { findUserByEmail, makeCustomerId, upsertUserWithRole } from "../../engine/members/users.ts";
import { hashPassword, verifyPassword } from "./passwords.ts";

/** Sees to it that this e-mail signs in with this password, as an administrator. Repeatable; several may do it at once. */
export async function ensureAdministrator(db: Queryable, email: string, password: string): Promise<void> {
  const address = email.toLowerCase();
  const user = await findUserByEmail(db, address);
  if (user?.roles.includes("admin") && (await verifyPassword(user.passwordHash, password))) return;
  const passwordHash = await hashPassword(password);
  await upsertUserWithRole(db, { id: makeCustomerId(), email: address, name: "Administrator", passwordHash }, "admin");
}

// Bodies and answers of the account routes.
import { z } from "@hono/zod-openapi";
import { ROLES } from "../../engine/members/roles.ts";
import type { User } from "../../engine/members/users.ts";
import { text, uuid } from "../http/fields.ts";

const PASSWORD_MIN = 8;
const PASSWORD_MAX = 128;

/** Lower case: addresses that differ in nothing else are taken for one. */
export const email = text(3, 254)
  .pipe(z.email("must be an e-mail address"))
  .transform((value) => value.toLowerCase())
  .openapi({ type: "string", format: "email", maxLength: 254, example: "kim@example.com" });
export const newPassword = text(PASSWORD_MIN, PASSWORD_MAX).openapi({ format: "password" });
const password = text(1, PASSWORD_MAX).openapi({ format: "password" });
const name = text(1, 100).openapi({ example: "김하늘" });
const linkToken = z.string().min(1).max(200);

/** A guest's UUID, whose cart the member takes over. */
const guestId = uuid.optional().openapi({ description: "The guest's UUID whose cart the member takes over" });

export const signUp = z.object({ email, password: newPassword, name, guestId }).openapi("SignUp");
export const credentials = z.object({ email: text(1, 254), password, guestId }).openapi("Credentials");
export const refreshRequest = z.object({ refreshToken: z.string().min(1).max(2_048) }).openapi("RefreshRequest");
export const logOut = z.object({ refreshToken: z.string().min(1).max(2_048).optional() }).openapi("LogOut");
export const emailOnly = z.object({ email }).openapi("EmailOnly");
export const verifyEmail = z.object({ token: linkToken }).openapi("VerifyEmail");
export const resetPassword = z.object({ token: linkToken, password: newPassword }).openapi("ResetPassword");
export const changePassword = z.object({ currentPassword: password, newPassword }).openapi("ChangePassword");
export const changeAccount = z.object({ name }).openapi("ChangeAccount");
export const eraseAccount = z.object({ password }).openapi("EraseAccount");

export const session = z
  .object({ accessToken: z.string(), refreshToken: z.string(), expiresIn: z.int(), customerId: z.string() })
  .openapi("Session");
export const newMember = session.extend({ id: z.string() }).openapi("NewMember");
export const account = z
  .object({
    customerId: z.string(),
    email: z.string(),
    emailVerified: z.boolean(),
    name: z.string(),
    roles: z.array(z.enum(ROLES)),
    createdAt: z.string(),
  })
  .openapi("Account");

export function representAccount({ id, email: address, emailVerifiedAt, name: called, roles, createdAt }: User) {
  return { customerId: id, email: address, emailVerified: emailVerifiedAt !== null, name: called, roles, createdAt };
}

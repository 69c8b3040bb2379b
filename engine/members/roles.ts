// What an account may be allowed to do beyond its own affairs.
export const ROLES = ["customer", "support", "admin"] as const;
export type Role = (typeof ROLES)[number];

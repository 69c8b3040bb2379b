// What tells a member's id from a guest's.

const MEMBER_ID = /^cus_[0-9a-z]{24}$/;

/** Whether it has the form of a member's id; guests name themselves by a UUID, and programs' own buyers as they like. */
export function isMemberId(id: string): boolean {
  return MEMBER_ID.test(id);
}

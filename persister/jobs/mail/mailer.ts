// Sends members the links that they asked for. The link is made here, right before it is sent: a queue, its archive and its
// dead letters never hold a secret. A mail that is sent twice holds two links, of which either works.
import type pg from "pg";
import type { Logger } from "../../../engine/log.ts";
import { makeLink } from "../../../engine/members/mailed-links.ts";
import { findUser } from "../../../engine/members/users.ts";
import type { MailJob } from "../../../engine/outbox/queues.ts";
import { composeMail } from "./messages.ts";
import type { MailTransport } from "./transport.ts";

export interface MailerDependencies {
  readonly pool: pg.Pool;
  readonly transport: MailTransport;
  readonly publicUrl: string;
  readonly log: Logger;
}

/** Sends one. A member who is gone or has nothing left to verify gets none. @throws what the transport throws */
export async function sendMail({ pool, transport, publicUrl, log }: MailerDependencies, job: MailJob): Promise<void> {
  const user = await findUser(pool, job.userId);
  if (!user || (job.purpose === "verify_email" && user.emailVerifiedAt)) return;
  const token = await makeLink(pool, user.id, job.purpose);
  await transport.send(composeMail(job.purpose, user, token, publicUrl));
  log.info({ userId: user.id, purpose: job.purpose }, "e-mail sent");
}

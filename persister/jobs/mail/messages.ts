// The words of the e-mails, in Korean and English: what language somebody reads is not known.
import { LINK_SECONDS, type LinkPurpose } from "../../../engine/members/mailed-links.ts";
import type { User } from "../../../engine/members/users.ts";
import type { MailMessage } from "./transport.ts";

const HOUR_SECONDS = 3_600;

/** @param token the link's secret, in the fragment: it reaches no server's log on the way */
export function composeMail(purpose: LinkPurpose, user: User, token: string, publicUrl: string): MailMessage {
  const hours = LINK_SECONDS[purpose] / HOUR_SECONDS;
  // A name is the member's own text: nothing in it may start a line of its own.
  const name = user.name.replaceAll(/\s+/gu, " ").trim();
  const link = `${publicUrl}/account/${purpose === "verify_email" ? "verify-email" : "reset-password"}#token=${token}`;
  const words = WORDS[purpose];
  const text = [
    `${name}님, 안녕하세요.`,
    "",
    words.korean(hours),
    "",
    link,
    "",
    "본인이 요청하지 않았다면 이 메일을 무시하셔도 됩니다.",
    "",
    "--",
    "",
    `Hello ${name},`,
    "",
    words.english(hours),
    "",
    link,
    "",
    "If you did not ask for this, you can ignore this mail.",
    "",
  ].join("\n");
  return { to: user.email, subject: words.subject, text };
}

const WORDS: Readonly<
  Record<LinkPurpose, { subject: string; korean: (hours: number) => string; english: (hours: number) => string }>
> = {
  verify_email: {
    subject: "이메일 주소를 확인해 주세요 / Please verify your e-mail address",
    korean: (hours) => `아래 링크로 이메일 주소를 확인해 주세요. 링크는 ${hours}시간 동안 한 번만 쓸 수 있습니다.`,
    english: (hours) => `Please verify your e-mail address by this link. It is good once, for ${hours} hours.`,
  },
  reset_password: {
    subject: "비밀번호 재설정 / Set a new password",
    korean: (hours) => `아래 링크로 비밀번호를 다시 설정해 주세요. 링크는 ${hours}시간 동안 한 번만 쓸 수 있습니다.`,
    english: (hours) => `Set a new password by this link. It is good once, for ${hours} hour.`,
  },
};

// How e-mails leave: by SMTP where a server is named, else as files that a developer can open.
import { randomUUID } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import nodemailer from "nodemailer";

export interface MailMessage {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

export interface MailTransport {
  /** Resolves when the next one in line has taken it. @throws what the server says; the job is tried again */
  send(message: MailMessage): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 10_000;

export function smtpTransport(url: string, from: string): MailTransport {
  const timeouts = { connectionTimeout: TIMEOUT_MS, greetingTimeout: TIMEOUT_MS, socketTimeout: TIMEOUT_MS };
  const mailer = nodemailer.createTransport({ url, pool: true, maxConnections: 2, ...timeouts });
  return {
    async send(message) {
      await mailer.sendMail({ from, ...message });
    },
    close: () => mailer.close(),
  };
}

/** Writes each message to a file of the folder, `<time>-<id>.eml`, whole or not at all. */
export function folderTransport(folder: string, from: string): MailTransport {
  const composer = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: "unix" });
  return {
    async send(message) {
      const { message: bytes } = await composer.sendMail({ from, ...message });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const name = `${new Date().toISOString().replaceAll(/[:.]/g, "-")}-${randomUUID()}.eml`;
      const written = path.join(folder, `.${name}`);
      await writeFile(written, bytes as Buffer, { mode: 0o600 });
      await rename(written, path.join(folder, name));
    },
    close: () => composer.close(),
  };
}

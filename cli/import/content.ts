// The text of a file that is imported, in whichever encoding a spreadsheet wrote it.
import { readFile, stat } from "node:fs/promises";
import { CommandError } from "../failure.ts";

const BYTES_MAX = 64 * 1_024 * 1_024;

/** @throws CommandError when it cannot be read, is too large, or is no text */
export async function readText(file: string): Promise<string> {
  const fail = (error: Error): never => {
    throw new CommandError(`Cannot read ${file}: ${error.message}`, "UNREADABLE");
  };
  const { size } = await stat(file).catch(fail);
  if (size > BYTES_MAX)
    throw new CommandError(`${file} is larger than ${BYTES_MAX} bytes; import it in parts.`, "TOO_LARGE");
  const bytes = await readFile(file).catch(fail);
  return decode(bytes) ?? fail(new Error("it is neither UTF-8, UTF-16 nor EUC-KR"));
}

/** UTF-8 with or without its mark; UTF-16 by its mark; else what Korean spreadsheets write (EUC-KR, code page 949). */
function decode(bytes: Buffer): string | undefined {
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const encodings = isUtf16 ? [bytes[0] === 0xff ? "utf-16le" : "utf-16be"] : ["utf-8", "euc-kr"];
  for (const encoding of encodings) {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

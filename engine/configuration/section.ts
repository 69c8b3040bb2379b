// What a section of the runtime configuration is made of. A new one (the tiers and earn rates of points, say) is a file that
// exports one of these, and a line in settings.ts: storing, checking, showing, auditing and following it come with that.
import type { z } from "zod";
import type { Config } from "../config.ts";

/** What is wrong with a setting, and where: a dotted path below the section. */
export interface SettingIssue {
  readonly path: string;
  readonly message: string;
}

export interface Section<Schema extends z.ZodObject = z.ZodObject> {
  /** Strict, and every member required: what holds once the defaults are filled in. Members are bounded, lists too. */
  readonly schema: Schema;
  /** What holds where nothing is stored, by a process' environment. */
  readonly defaults: (config: Config) => Readonly<z.output<Schema>>;
  /** The environment variable of each member that has one. */
  readonly variables: Readonly<Partial<Record<keyof z.output<Schema>, string>>>;
  /** What cannot be said of one member alone. `stored`: what would be stored, each member valid by itself. */
  readonly check?: (stored: Readonly<Partial<z.output<Schema>>>) => readonly SettingIssue[];
}

/** For its types: a section as it is written. */
export function section<Schema extends z.ZodObject>(of: Section<Schema>): Section<Schema> {
  return of;
}

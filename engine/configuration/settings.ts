// The runtime configuration as a whole: defaults by the environment, overridden by what is stored. What is stored says only
// what was set; a name that is not in it has its default, in each process by that process' own environment.
import { z } from "zod";
import { type Config, loadConfig } from "../config.ts";
import { pointsSection } from "../points/section.ts";
import type { Section, SettingIssue } from "./section.ts";
import { logSection, ordersSection, pausesSection, paymentsSection, rateLimitSection } from "./sections.ts";

/** In the order in which they are shown and exported. */
export const SECTIONS = {
  rateLimit: rateLimitSection,
  orders: ordersSection,
  payments: paymentsSection,
  points: pointsSection,
  pauses: pausesSection,
  log: logSection,
} as const;

type Sections = typeof SECTIONS;
export type SectionName = keyof Sections;
type SettingsOf<Name extends SectionName> = z.output<Sections[Name]["schema"]>;

/** All settings, as they hold. Frozen wherever it is handed out. */
export type Settings = { readonly [Name in SectionName]: Readonly<SettingsOf<Name>> };
/** What is stored of them. */
export type StoredSettings = { readonly [Name in SectionName]?: Readonly<Partial<SettingsOf<Name>>> };
export type SettingOrigin = "default" | "environment" | "stored";
/** Where each setting's value is from. */
export type SettingOrigins = {
  readonly [Name in SectionName]: Readonly<Record<keyof SettingsOf<Name>, SettingOrigin>>;
};

/** A configuration by its number; 0: nothing was ever stored. */
export interface Configuration {
  readonly version: number;
  readonly settings: Settings;
}

/** What a process' environment says of the settings. */
export interface SettingsEnvironment {
  readonly settings: Settings;
  readonly origins: SettingOrigins;
}

const ENTRIES = Object.entries(SECTIONS) as unknown as readonly (readonly [SectionName, Section])[];
/** Every setting's dotted name, in order. */
export const SETTING_NAMES: readonly string[] = ENTRIES.flatMap(([name, { schema }]) =>
  Object.keys(schema.shape).map((member) => `${name}.${member}`),
);

/** The environment variables that settings have. */
export const SETTING_VARIABLES: readonly string[] = ENTRIES.flatMap(([, { variables }]) =>
  Object.values(variables).filter((name) => name !== undefined),
);

/** Of all settings, as they hold. */
export const allSettings = z.strictObject(eachSection(({ schema }) => schema));
/** Of what is stored: any of the sections, any of their members, and nothing else. */
export const storedSettings = z.strictObject(
  eachSection(({ schema }) => schema.partial().optional()),
) as unknown as z.ZodType<StoredSettings>;

/** Of a JSON merge patch (RFC 7396) of it: null takes a setting, or a section, back to the default. */
export const settingsPatch = z.strictObject(
  eachSection(({ schema }) => {
    const members = Object.entries(schema.shape as Record<string, z.ZodType>);
    return z
      .strictObject(Object.fromEntries(members.map(([name, member]) => [name, member.nullable().optional()])))
      .nullable()
      .optional();
  }),
);

/** Reads what the environment says. @throws ConfigError */
export function settingsEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  config: Config = loadConfig(env),
): SettingsEnvironment {
  const settings = eachSection(({ defaults }) => ({ ...defaults(config) }));
  const origins = eachSection(({ schema, variables }) =>
    eachMember(schema, (name) => {
      const variable = (variables as Record<string, string>)[name];
      return variable !== undefined && (env[variable] ?? "") !== "" ? "environment" : "default";
    }),
  );
  return {
    settings: frozen(structuredClone(settings)) as unknown as Settings,
    origins: origins as unknown as SettingOrigins,
  };
}

/** What holds with this stored, in a process of that environment. */
export function effectiveSettings(stored: StoredSettings, { settings }: SettingsEnvironment): Settings {
  const effective = eachSection((_, name) => ({ ...settings[name], ...stored[name] }));
  return frozen(structuredClone(effective)) as unknown as Settings;
}

/** Where each value of {@link effectiveSettings} is from. */
export function settingOrigins(stored: StoredSettings, { origins }: SettingsEnvironment): SettingOrigins {
  return eachSection(({ schema }, name) =>
    eachMember(schema, (member) =>
      memberOf(stored[name], member) === undefined ? (memberOf(origins[name], member) as SettingOrigin) : "stored",
    ),
  ) as unknown as SettingOrigins;
}

/** The document in the one order in which it is stored, shown and exported, without empty sections. */
export function inOrder(stored: StoredSettings): StoredSettings {
  const ordered = ENTRIES.map(([name, { schema }]) => {
    const members = Object.keys(schema.shape).map((member) => [member, memberOf(stored[name], member)] as const);
    return [name, Object.fromEntries(members.filter(([, value]) => value !== undefined))] as const;
  });
  return Object.fromEntries(ordered.filter(([, members]) => Object.keys(members).length > 0)) as StoredSettings;
}

/** Merges a patch into what is stored, by RFC 7396; the patch is checked before. */
export function mergePatch(stored: StoredSettings, patch: z.output<typeof settingsPatch>): StoredSettings {
  const merged = ENTRIES.map(([name]) => {
    const change = (patch as Record<string, Record<string, unknown> | null | undefined>)[name];
    if (change === null) return [name, {}] as const;
    const members = Object.entries({ ...stored[name], ...change }).filter(([, value]) => value !== null);
    return [name, Object.fromEntries(members.filter(([, value]) => value !== undefined))] as const;
  });
  return inOrder(Object.fromEntries(merged) as StoredSettings);
}

export interface SettingDifference {
  readonly name: string;
  /** `undefined`: it has its default. */
  readonly before: unknown;
  readonly after: unknown;
}

/** What differs between two stored documents, by name, in order. */
export function differences(before: StoredSettings, after: StoredSettings): SettingDifference[] {
  return ENTRIES.flatMap(([section, { schema }]) =>
    Object.keys(schema.shape).map((member) => ({
      name: `${section}.${member}`,
      before: memberOf(before[section], member),
      after: memberOf(after[section], member),
    })),
  ).filter((of) => JSON.stringify(of.before) !== JSON.stringify(of.after));
}

/** What sections find wrong beyond single members. */
export function checkTogether(stored: StoredSettings): SettingIssue[] {
  return ENTRIES.flatMap(([name, { check }]) =>
    (check?.(stored[name] ?? {}) ?? []).map(({ path, message }) => ({ path: `${name}.${path}`, message })),
  );
}

/** One setting's value by its dotted name. */
export function settingOf(of: Settings | StoredSettings | SettingOrigins, name: string): unknown {
  const [section = "", member = ""] = name.split(".");
  return memberOf((of as Record<string, object | undefined>)[section], member);
}

function memberOf(section: object | undefined, member: string): unknown {
  return (section as Record<string, unknown> | undefined)?.[member];
}

function eachSection<T>(make: (section: Section, name: SectionName) => T): Record<SectionName, T> {
  return Object.fromEntries(ENTRIES.map(([name, section]) => [name, make(section, name)])) as Record<SectionName, T>;
}

function eachMember<T>(schema: z.ZodObject, make: (name: string) => T): Record<string, T> {
  return Object.fromEntries(Object.keys(schema.shape).map((name) => [name, make(name)]));
}

/** Whatever depth a section has, nobody changes what holds. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

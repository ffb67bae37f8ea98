import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export const ROOT = join(import.meta.dirname, '..', '..');

/** What of a service in docker-compose.yml the tests look at, in the forms that this file uses. */
export type ComposeService = {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly restart?: string;
  readonly user?: string;
  readonly stop_grace_period?: string;
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: readonly string[] };
};

export type ComposeFile = {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};

/** The file as it is written, its anchors and merges resolved. */
export function readComposeFile(): unknown {
  return parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true });
}

/** The file as Compose sees it in an environment. Throws where a variable that has to be there is missing or empty. */
export function composeIn(env: Readonly<Record<string, string>>): ComposeFile {
  return interpolated(readComposeFile(), env) as ComposeFile;
}

/** The names of all variables that the file asks for; `required` are those without which nothing starts. */
export function variablesOf(file: unknown): { readonly all: ReadonlySet<string>; readonly required: ReadonlySet<string> } {
  const found = [...JSON.stringify(file).matchAll(/\$\{(\w+)(:[-?])?/g)];
  return {
    all: new Set(found.map(([, name = '']) => name)),
    required: new Set(found.filter(([, , kind]) => kind === ':?').map(([, name = '']) => name)),
  };
}

/** https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md: the forms that the file uses, and no other. */
const VARIABLE = /\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})?/g;

function interpolated(value: unknown, env: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    return value.replace(
      VARIABLE,
      (all, dollar: string | undefined, name: string | undefined, kind: string | undefined, more = '') => {
        if (dollar !== undefined) return '$';
        if (name === undefined) throw new Error(`${all} in "${value}" is no variable`);
        const given = env[name] ?? '';
        if (given === '' && kind === '?') throw new Error(`${name}: ${String(more)}`);
        return given === '' && kind === '-' ? String(more) : given;
      },
    );
  }
  if (Array.isArray(value)) return value.map((one) => interpolated(one, env));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, interpolated(one, env)]));
}

/** In seconds, from Compose's durations. */
export function secondsOf(duration: string): number {
  const units: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3_600 };
  return [...duration.matchAll(/(\d+)(us|ms|s|m|h)/g)].reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0),
    0,
  );
}

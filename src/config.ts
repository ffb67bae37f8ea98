import { z } from 'zod';
import { microFromCredits } from './events/amounts.ts';

function listed(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

const originSchema = z
  .string()
  .refine((given) => given === '*' || isOrigin(given), 'must be origins like https://app.example.com, or *');

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const networkSchema = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'must be addresses or networks like 10.0.0.0/8');

/** What is set from outside. Every fault is reported at once; nothing secret is ever in a message. */
const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(3061),
  HOST: z.string().min(1).default('0.0.0.0'),
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must begin with postgres://'),
  /** For migrations, where the service's own user may not change tables. */
  MIGRATION_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must begin with postgres://')
    .optional(),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://')
    .refine((url) => URL.canParse(url), 'must be a URL, with special characters of a password written as %40 and the like')
    .optional(),
  /** What begins the names of the queue's keys in Redis: ledgers that share a server need different ones. */
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w.{}:-]+$/, 'must be letters, digits and any of _ . : - { }')
    .default('mana-credits'),
  /** A KurrentDB or EventStoreDB that keeps the log; Postgres keeps the rest. */
  EVENTSTORE_URL: z
    .string()
    .regex(/^esdb(\+discover)?:\/\//, 'must begin with esdb:// or esdb+discover://')
    .optional(),
  /** What begins the names of the ledger's streams there: ledgers that share a server need different ones. */
  EVENTSTORE_PREFIX: z
    .string()
    .regex(/^[\w.-]*$/, 'must be letters, digits and any of _ . -')
    .default(''),
  MANA_AUTH_URL: z
    .url()
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  JWT_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  MANA_SERVICE_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  BASE_URL: z.url().optional(),
  /** Whose pages may call from a browser: origins with commas between them, or `*`. */
  CORS_ORIGINS: z.string().transform(listed).pipe(z.array(originSchema)).default([]),
  /** Proxies that are believed when they say for whom they ask: addresses and networks with commas between them. */
  TRUST_PROXY: z.string().transform(listed).pipe(z.array(networkSchema)).default([]),
  RATE_LIMIT: z.enum(['on', 'off']).default('on'),
  /** Requests a minute: of a user, of a service key, and from an address on public routes. */
  RATE_LIMIT_USER: z.coerce.number().int().min(1).default(6_000),
  RATE_LIMIT_SERVICE: z.coerce.number().int().min(1).default(600_000),
  RATE_LIMIT_ADDRESS: z.coerce.number().int().min(1).default(300),
  /** Seconds for which a process that was told to end says that it isn't ready, and answers all the same. */
  SHUTDOWN_DRAIN: z.coerce.number().min(0).max(300).default(0),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Credits that an account gets when it is opened, once. */
  SIGNUP_GRANT: z.coerce
    .number()
    .refine((credits) => microFromCredits(credits) !== undefined, 'must be credits with at most 6 decimals')
    .default(0),
});

export type Config = {
  readonly port: number;
  readonly host: string;
  readonly databaseUrl: string;
  readonly migrationDatabaseUrl: string;
  readonly redisUrl: string | undefined;
  readonly redisPrefix: string;
  readonly eventStoreUrl: string | undefined;
  readonly eventStorePrefix: string;
  readonly authUrl: string | undefined;
  readonly jwtSecret: string | undefined;
  readonly serviceKey: string | undefined;
  readonly baseUrl: string;
  readonly corsOrigins: readonly string[];
  /** Addresses of the proxies that are believed when they say for whom they ask. */
  readonly trustProxy: readonly string[];
  /** Requests a minute; undefined where nobody is limited. */
  readonly rateLimits: { readonly user: number; readonly service: number; readonly address: number } | undefined;
  /** Milliseconds. */
  readonly shutdownDrain: number;
  readonly logLevel: z.infer<typeof environment>['LOG_LEVEL'];
  /** Micro-credits. */
  readonly signupGrant: number;
};

/** A fault in what was set from outside: the message names every variable that is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the configuration. Throws ConfigError. An empty variable counts as one that isn't set. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => {
      const name = path.join('.');
      return `  ${name}: ${given[name] === undefined ? 'is not set' : message}`;
    });
    throw new ConfigError(`The environment is not right:\n${faults.join('\n')}`);
  }
  const set = parsed.data;
  return Object.freeze({
    port: set.PORT,
    host: set.HOST,
    databaseUrl: set.DATABASE_URL,
    migrationDatabaseUrl: set.MIGRATION_DATABASE_URL ?? set.DATABASE_URL,
    redisUrl: set.REDIS_URL,
    redisPrefix: set.REDIS_PREFIX,
    eventStoreUrl: set.EVENTSTORE_URL,
    eventStorePrefix: set.EVENTSTORE_PREFIX,
    authUrl: set.MANA_AUTH_URL,
    jwtSecret: set.JWT_SECRET,
    serviceKey: set.MANA_SERVICE_KEY,
    baseUrl: set.BASE_URL ?? `http://localhost:${set.PORT}`,
    corsOrigins: set.CORS_ORIGINS,
    trustProxy: set.TRUST_PROXY,
    rateLimits:
      set.RATE_LIMIT === 'off'
        ? undefined
        : { user: set.RATE_LIMIT_USER, service: set.RATE_LIMIT_SERVICE, address: set.RATE_LIMIT_ADDRESS },
    shutdownDrain: set.SHUTDOWN_DRAIN * 1_000,
    logLevel: set.LOG_LEVEL,
    signupGrant: microFromCredits(set.SIGNUP_GRANT) ?? 0,
  });
}

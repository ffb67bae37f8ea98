import { timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { OverloadedError } from '../commands/write-path/envelope.ts';
import { StoreUnavailableError } from '../events/store.ts';
import { keyDigest, keyIdOf, type ServiceKey, type ServiceKeys } from '../operational/service-keys.ts';
import { type Caller, LEGACY_KEY_NAME, type Scope, SCOPES } from './access.ts';
import { ApiError, invalid } from './errors.ts';

/** In ms: how old what is known of a key may be. A key that was revoked is good for so long at the most. */
const KNOWN_FOR = 30_000;
/** In ms: how often a key's use is written down at the most. */
const NOTED_EVERY = 60_000;
/** How many keys a process keeps at hand, and how many ids that are no key's. */
const KNOWN_KEYS = 10_000;
const KNOWN_STRANGERS = 1_000;
/** How many keys are read at once before an id that nobody has seen is refused: what waits in memory is bounded. */
const READ_AT_ONCE = 100;
/** How many names of apps are kept at hand for the key that may give itself any. */
const KNOWN_APPS = 1_000;

/** The app of the key of old where it names none. */
const DEFAULT_APP = 'default';

const EVERY_SCOPE: ReadonlySet<Scope> = new Set(SCOPES);

/** What an app, and a key, may be called. */
export const appIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores');

export type ServiceCallerOptions = {
  /** MANA_SERVICE_KEY: it has every scope, and may act for any app. */
  readonly legacyKey: string | undefined;
  readonly keys: ServiceKeys;
  /** Milliseconds since 1970, by the clock that keys end by. */
  readonly now: () => number;
};

/** What a service came with. */
type Credentials = { readonly key: unknown; readonly app: unknown };

/** What was read of a key, and when the reading began, by the process's own clock that never goes back. */
type Known = { readonly key: ServiceKey; readonly readAt: number; readonly callers: ReadonlyMap<string, Caller> };

/**
 * Tells which service calls, by X-Service-Key and X-App-Id: 401 for a key that is none, was revoked or has ended; 403
 * where it may not act for the app, 400 where it has to say for which. It answers at once where it has read the key
 * within the last 30 s. Where it hasn't and the database doesn't answer, the promise rejects: nobody is let through.
 */
export function createServiceCallers({ legacyKey, keys, now }: ServiceCallerOptions) {
  const legacyDigest = legacyKey === undefined ? undefined : keyDigest(legacyKey);
  const legacyCallers = new LRUCache<string, Caller>({ max: KNOWN_APPS });
  const notedAt = new LRUCache<string, number>({ max: KNOWN_KEYS });
  const knownKey = createKnownKeys(keys);

  function legacyCaller(app: unknown = DEFAULT_APP): Caller | ApiError {
    const found = typeof app === 'string' ? legacyCallers.get(app) : undefined;
    if (found !== undefined) return found;
    const appId = appIdSchema.safeParse(app);
    if (!appId.success) return invalid([{ path: 'X-App-Id', message: appId.error.issues[0]?.message ?? 'is wrong' }]);
    const caller = callerOf(appId.data, LEGACY_KEY_NAME, EVERY_SCOPE);
    legacyCallers.set(appId.data, caller);
    return caller;
  }

  /** Who calls with a key of which this is known. */
  function admit(known: Known | undefined, digest: Buffer, app: unknown): Caller | ApiError {
    if (known === undefined || !timingSafeEqual(digest, known.key.hash)) return unknownKey();
    const { id, apps, endsAt } = known.key;
    if (endsAt !== null && endsAt.getTime() <= now()) return unknownKey();
    noteUse(id);
    const name = app ?? (apps.length === 1 ? apps[0] : undefined);
    if (name === undefined) return invalid([{ path: 'X-App-Id', message: `must be one of ${apps.join(', ')}` }]);
    const caller = typeof name === 'string' ? known.callers.get(name) : undefined;
    return (
      caller ?? new ApiError(403, 'forbidden', `The service key may act for ${apps.join(', ')} alone`, { details: { apps } })
    );
  }

  /** Behind the request: a use that can't be written down is no reason to refuse it. */
  function noteUse(id: string): void {
    const at = performance.now();
    if (at - (notedAt.get(id) ?? Number.NEGATIVE_INFINITY) < NOTED_EVERY) return;
    notedAt.set(id, at);
    keys.noteUse(id).catch(() => undefined);
  }

  return ({ key: text, app }: Credentials): Caller | ApiError | Promise<Caller | ApiError> => {
    if (typeof text !== 'string') return unknownKey();
    const digest = keyDigest(text);
    if (legacyDigest !== undefined && timingSafeEqual(digest, legacyDigest)) return legacyCaller(app);
    const id = keyIdOf(text);
    if (id === undefined) return unknownKey();
    const known = knownKey(id);
    return known instanceof Promise ? known.then((read) => admit(read, digest, app)) : admit(known, digest, app);
  };
}

/**
 * Keys by id, read again once what is known of one is 30 s old; undefined for an id that is no key's or a revoked one's.
 * The promise rejects where the database doesn't answer, and where too many unknown ids are asked for at once.
 */
function createKnownKeys(keys: ServiceKeys) {
  const known = new LRUCache<string, Known>({ max: KNOWN_KEYS });
  const strangers = new LRUCache<string, number>({ max: KNOWN_STRANGERS });
  const readings = new Map<string, Promise<Known | undefined>>();

  async function read(id: string): Promise<Known | undefined> {
    const readAt = performance.now();
    const key = await keys.find(id).catch((error: unknown) => {
      throw new StoreUnavailableError('service keys can not be read', { cause: error });
    });
    if (key === undefined) {
      known.delete(id);
      strangers.set(id, readAt);
      return undefined;
    }
    // A scope that a later version of the ledger has given it is none here.
    const scopes = new Set(SCOPES.filter((scope) => key.scopes.includes(scope)));
    const found = { key, readAt, callers: new Map(key.apps.map((app) => [app, callerOf(app, key.name, scopes)])) };
    known.set(id, found);
    return found;
  }

  return (id: string): Known | undefined | Promise<Known | undefined> => {
    const oldest = performance.now() - KNOWN_FOR;
    const found = known.get(id);
    if (found !== undefined && found.readAt > oldest) return found;
    if ((strangers.get(id) ?? Number.NEGATIVE_INFINITY) > oldest) return undefined;
    const running = readings.get(id);
    if (running !== undefined) return running;
    if (found === undefined && readings.size >= READ_AT_ONCE) return Promise.reject(new OverloadedError());
    const reading = read(id).finally(() => readings.delete(id));
    readings.set(id, reading);
    return reading;
  };
}

function callerOf(app: string, key: string, scopes: ReadonlySet<Scope>): Caller {
  return { actor: { app, key, kind: 'service' }, name: `app:${app}`, role: null, scopes };
}

function unknownKey(): ApiError {
  return new ApiError(401, 'unauthorized', 'A valid X-Service-Key is needed');
}

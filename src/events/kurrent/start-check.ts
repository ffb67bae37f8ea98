import { setTimeout as delay } from 'node:timers/promises';
import { StoreUnavailableError } from '../store.ts';
import type { Connection } from './connection.ts';

/** In ms: a server that has just been started, or elects its leader, gets some time. */
const READY_WITHIN = 10_000;
const LOOK_AGAIN = 250;

/** What no waiting mends. */
const HOPELESS = /access.?denied|unauthenticated|certificate|self.signed|wrong version number|EPROTO/i;

/** The oldest version whose answers this was tried against: https://developers.eventstore.com/server */
const OLDEST = [23, 10] as const;

/**
 * Asks the server whether it can keep the ledger. Rejects with StoreUnavailableError whose message says what is wrong
 * with the URL or the server, without the password.
 */
export async function checkServer(connection: Connection, url: string): Promise<void> {
  const deadline = performance.now() + READY_WITHIN;
  let why = 'no answer';
  do {
    const found = await connection.check().catch(asFailure);
    if (!('why' in found)) {
      if (!found.takesBatches || isOlder(found.version)) throw tooOld(found.version);
      const read = await connection.readAll({ at: undefined, direction: 'backward', count: 1 }).catch(asFailure);
      if (!('why' in read)) return;
      ({ why } = read);
    } else {
      ({ why } = found);
      if ('hopeless' in found) break;
    }
    if (HOPELESS.test(why)) break;
    await delay(LOOK_AGAIN);
  } while (performance.now() < deadline);
  throw new StoreUnavailableError(`The EVENTSTORE_URL (${withoutPassword(url)}) can't be used: ${hint(why)}`);
}

const asFailure = (error: unknown) => ({ why: error instanceof Error ? error.message : String(error) });

function tooOld(version: string): StoreUnavailableError {
  const asked = OLDEST.join('.');
  return new StoreUnavailableError(`The server at EVENTSTORE_URL is too old (${version}): ${asked} is the oldest that will do.`);
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  // What names no version is not refused for it: it said that it takes batches.
  if (!Number.isInteger(major) || !Number.isInteger(minor)) return false;
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** What a client's words mostly mean. */
function hint(why: string): string {
  if (/access.?denied|unauthenticated/i.test(why)) return `the server refuses the user or the password (${why}).`;
  if (/certificate|self.signed/i.test(why))
    return `the server's certificate is not trusted: name its CA with tlsCAFile (${why}).`;
  if (/wrong version number|ssl|tls|EPROTO/i.test(why))
    return `one side speaks TLS and the other doesn't: look at tls= (${why}).`;
  if (/Failed to connect/i.test(why)) return `nothing answers there, or it wants TLS (${why}).`;
  if (/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|code 14|discover/i.test(why)) return `nothing answers there (${why}).`;
  return `${why}.`;
}

/** A URL as it may stand in a log. */
function withoutPassword(url: string): string {
  return url.replace(/\/\/([^/@:]*):[^@]*@/, '//$1:***@');
}

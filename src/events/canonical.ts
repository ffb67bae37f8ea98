import { hash } from 'node:crypto';

/** A value that JSON holds, as it stands in event data and metadata. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * RFC 8785 canonical JSON: members sorted by their UTF-16 code units, no white space, numbers and strings as
 * JSON.stringify writes them (which is what the RFC takes from ECMAScript). Members that are undefined are left out.
 * Throws a TypeError for numbers that JSON can't hold.
 *
 * Ours rather than the `canonicalize` package, which the tests hold it against, because it runs on every command.
 */
export function canonicalJson(value: Json): string {
  // What is in canonical order already is left to the engine, which writes it several times as fast.
  return isInOrder(value) ? JSON.stringify(value) : written(value);
}

/** Whether an engine that writes members in the order it finds them writes canonical JSON. */
function isInOrder(value: Json): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (value === null || typeof value !== 'object') return true;
  if (isArray(value)) {
    for (const member of value) if (!isInOrder(member)) return false;
    return true;
  }
  let before = '';
  for (const key in value) {
    const member = value[key];
    if (key < before || (member !== undefined && !isInOrder(member))) return false;
    before = key;
  }
  return true;
}

function written(value: Json): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`JSON can't hold ${value}`);
    return Object.is(value, -0) ? '0' : String(value);
  }
  if (value === null || typeof value === 'boolean') return String(value);
  if (isArray(value)) {
    let text = '[';
    for (let index = 0; index < value.length; index += 1) {
      if (index > 0) text += ',';
      text += written(value[index] ?? null);
    }
    return `${text}]`;
  }
  let text = '';
  for (const key of sorted(Object.keys(value))) {
    const member = value[key];
    if (member === undefined) continue;
    text += (text === '' ? '{' : ',') + nameText(key) + written(member);
  }
  return text === '' ? '{}' : `${text}}`;
}

/** In place. Objects are small and mostly in order: an insertion sort beats the general one by far. */
function sorted(keys: string[]): string[] {
  if (keys.length > 32) return keys.sort();
  for (let end = 1; end < keys.length; end += 1) {
    const key = keys[end] as string;
    let place = end - 1;
    while (place >= 0 && (keys[place] as string) > key) {
      keys[place + 1] = keys[place] as string;
      place -= 1;
    }
    keys[place + 1] = key;
  }
  return keys;
}

/** Member names as text, for the names that come again and again; a caller's own names don't fill memory. */
const names = new Map<string, string>();
const MAX_NAMES = 500;

function nameText(key: string): string {
  const known = names.get(key);
  if (known !== undefined) return known;
  const text = `${JSON.stringify(key)}:`;
  if (names.size < MAX_NAMES) names.set(key, text);
  return text;
}

// Array.isArray doesn't narrow a readonly array.
function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** SHA-256 of a text's UTF-8 bytes. */
export function sha256(text: string): Buffer {
  // By way of a text: memory of the pool instead of an allocation of its own, which costs more than the hash.
  return Buffer.from(hash('sha256', text, 'hex'), 'hex');
}

/** SHA-256 of a text's UTF-8 bytes, in base64url. */
export function sha256Base64(text: string): string {
  return hash('sha256', text, 'base64url');
}

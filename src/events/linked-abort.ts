/**
 * A signal that aborts with another one, or by itself. AbortSignal.any() is the library's way, but in Node 20 a signal
 * it makes can be collected while somebody waits for it, and then never tells: here the outer signal holds on to it.
 */
export function linkedAbort(outer: AbortSignal): { readonly signal: AbortSignal; abort(): void } {
  const inner = new AbortController();
  const onAbort = () => inner.abort();
  if (outer.aborted) inner.abort();
  else outer.addEventListener('abort', onAbort, { once: true });
  return {
    signal: inner.signal,
    abort: () => {
      outer.removeEventListener('abort', onAbort);
      inner.abort();
    },
  };
}

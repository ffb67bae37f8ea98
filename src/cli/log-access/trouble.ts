/** What went wrong, why, and why that: each in words. */
export function wordsOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [String(error)];
  const { code } = error as { code?: string };
  const words = error.message === '' ? (code ?? error.name) : error.message;
  return error.cause === undefined ? [words] : [words, ...wordsOf(error.cause)];
}

/** Says on standard error what failed, and why. */
export function tell(what: string, error: unknown): void {
  process.stderr.write(`${what}: ${wordsOf(error).join(': ')}\n`);
}

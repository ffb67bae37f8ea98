/*
 * Streams by the ledger's names and by the server's, which others may use as well: a prefix tells whose they are. Without
 * one the ledger's streams are told by what their names begin with.
 */

const KINDS = ['account-', 'gift-', 'pool-', 'purchase-'];
const WHOLE = ['catalogue'];

export type Names = {
  readonly toServer: (stream: string) => string;
  /** The ledger's name of a stream; undefined where it isn't the ledger's. */
  readonly toLedger: (name: string) => string | undefined;
  /** What the names of the ledger's streams begin with on the server; some that aren't its own may, too. */
  readonly prefixes: readonly string[];
};

/** The names under a prefix, which may be empty. */
export function namesUnder(prefix: string): Names {
  const toServer = (stream: string) => `${prefix}${stream}`;
  if (prefix !== '') {
    return {
      toServer,
      toLedger: (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : undefined),
      prefixes: [prefix],
    };
  }
  const isOurs = (name: string) => WHOLE.includes(name) || KINDS.some((kind) => name.startsWith(kind));
  return { toServer, toLedger: (name) => (isOurs(name) ? name : undefined), prefixes: [...KINDS, ...WHOLE] };
}

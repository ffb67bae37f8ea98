import { createServer, type Server } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

/** What a token may be signed with. */
export const ALGORITHMS = ['EdDSA', 'RS256', 'ES256'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** What a test changes of a token that would be good. */
export type TokenChanges = { readonly claims?: JWTPayload; readonly header?: { readonly kid?: string } };

/** An auth service: signs tokens, and shows the public keys they are verified with. */
export type AuthServer = {
  readonly url: string;
  /** The public keys that it shows. */
  readonly keys: readonly JWK[];
  /** How often it was asked for them. */
  readonly asked: () => number;
  /** A good token, but for the changes. */
  sign(algorithm: Algorithm, sub: string, changes?: TokenChanges): Promise<string>;
  /** Makes new keys and shows these alone. */
  rotate(): Promise<void>;
  /** Shows something else beside its keys from now on. */
  show(key: JWK): void;
  /** Answers nobody any more, until it is told to come back. */
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
};

type Pair = { readonly kid: string; readonly privateKey: CryptoKey; readonly shown: JWK };

/** Starts an auth service on a port of its own. */
export async function startAuthServer(): Promise<AuthServer> {
  let generation = 0;
  let asked = 0;
  let pairs = await makePairs(generation);
  const extra: JWK[] = [];
  const shown = (): JWK[] => [...[...pairs.values()].map((pair) => pair.shown), ...extra];

  const server = createServer((request, response) => {
    asked += 1;
    const found = request.url === '/api/auth/jwks';
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: shown() }));
  });
  await listen(server, 0);
  const { port } = server.address() as { port: number };
  const url = `http://127.0.0.1:${port}`;

  return {
    url,
    get keys() {
      return shown();
    },
    asked: () => asked,
    async sign(algorithm, sub, { claims = {}, header = {} } = {}) {
      const pair = pairs.get(algorithm);
      if (pair === undefined) throw new Error(`no key for ${algorithm}`);
      const now = Math.floor(Date.now() / 1_000);
      const good = { sub, email: `${sub}@example.org`, role: 'user', iss: url, aud: 'mana', iat: now, exp: now + 3_600 };
      return new SignJWT({ ...good, ...claims })
        .setProtectedHeader({ alg: algorithm, kid: pair.kid, ...header })
        .sign(pair.privateKey);
    },
    async rotate() {
      generation += 1;
      pairs = await makePairs(generation);
    },
    show: (key) => void extra.push(key),
    goDown: () => close(server),
    comeBack: () => listen(server, port),
    close: () => close(server),
  };
}

async function makePairs(generation: number): Promise<ReadonlyMap<Algorithm, Pair>> {
  const made = ALGORITHMS.map(async (algorithm): Promise<[Algorithm, Pair]> => {
    const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
    const kid = `${algorithm}-${generation}`;
    return [algorithm, { kid, privateKey, shown: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' } }];
  });
  return new Map(await Promise.all(made));
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

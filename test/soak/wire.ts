import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Body, ContractError, must } from './accounts.ts';
import type { Random } from './random.ts';

/*
 * Requests to several API processes: each goes to any of them, and again, to any of them, until there is a definite
 * answer. No answer and a 503 are none: the same key is safe to send again.
 */

/** The key of the services under the soak, of every scope. */
export const SERVICE_KEY = 'soak-service-key-0123456789';

/** In ms: an answer that takes longer counts as one that never comes, and so does a command that never gets one. */
const HANGS_AFTER = 30_000;
const DEFINITE_WITHIN = 120_000;
/** In ms: how long to rest before a request is sent again. */
const REST = 25;
const REST_AT_MOST = 400;

export type Request = {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: string;
  readonly app: string;
  readonly key?: string;
  readonly minRevision?: string | undefined;
};

/** A definite answer. */
export type Reply = {
  readonly status: number;
  readonly body: Body;
  /** As it came. */
  readonly text: string;
  /** X-Ledger-Revision. */
  readonly token: string | undefined;
  readonly replayed: boolean;
};

export type Wire = {
  /** How often a request was sent again. */
  readonly repeated: number;
  /** Sends until there is a definite answer. Throws a ContractError where there is none in time, or one that may not be. */
  ask(request: Request, random: Random): Promise<Reply>;
  close(): void;
};

/** The way to the APIs at some URLs. Whoever opens it closes it. */
export function openWire(urls: readonly string[]): Wire {
  const agent = new Agent({ keepAlive: true });
  let repeated = 0;
  let closed = false;
  return {
    get repeated() {
      return repeated;
    },
    async ask(request, random) {
      const giveUpAt = performance.now() + DEFINITE_WITHIN;
      let last = 'nothing';
      for (let times = 1; performance.now() < giveUpAt; times += 1) {
        const tried = await sendOnce(random.pick(urls), request, agent);
        if (typeof tried !== 'string') return tried;
        last = tried;
        if (closed) throw new ContractError('the soak was ended');
        repeated += 1;
        await delay(random.between(1, Math.min(REST * 2 ** times, REST_AT_MOST)));
      }
      throw new ContractError(`no definite answer to ${nameOf(request)} in ${DEFINITE_WITHIN} ms: ${last}`);
    },
    close() {
      closed = true;
      agent.destroy();
    },
  };
}

function nameOf({ method, path, key, body }: Request): string {
  return `${method} ${path}${key === undefined ? '' : ` under the key ${key}`}${body === undefined ? '' : ` ${body.slice(0, 300)}`}`;
}

/** Sends once. Returns why where there was no definite answer. */
async function sendOnce(url: string, asked: Request, agent: Agent): Promise<Reply | string> {
  const received = await receive(url, asked, agent);
  if (typeof received === 'string') return received;
  const { status, text, headers } = received;
  return status === 503 ? `503 ${text.slice(0, 200)}` : definite(asked, status, text, headers);
}

type Received = { readonly status: number; readonly text: string; readonly headers: IncomingHttpHeaders };

/** Whatever answer came; why, where none did. */
function receive(url: string, asked: Request, agent: Agent): Promise<Received | string> {
  const { method, path, body, app, key, minRevision } = asked;
  const headers = {
    'x-service-key': SERVICE_KEY,
    'x-app-id': app,
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(key !== undefined && { 'idempotency-key': key }),
    ...(minRevision !== undefined && { 'x-min-revision': minRevision }),
  };
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${url}${path}`, { method, agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      // Half an answer is none.
      response.once('error', unanswered);
      response.once('end', () => {
        clearTimeout(timer);
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      });
    });
    const timer = setTimeout(() => {
      reject(new ContractError(`no answer to ${nameOf(asked)} from ${url} in ${HANGS_AFTER} ms`));
      sent.destroy();
    }, HANGS_AFTER);
    function unanswered(error: NodeJS.ErrnoException): void {
      clearTimeout(timer);
      resolve(error.code ?? error.message);
    }
    sent.once('error', unanswered);
    sent.end(body);
  });
}

function definite(asked: Request, status: number, text: string, said: IncomingHttpHeaders): Reply {
  must(status >= 200 && status < 500, `${nameOf(asked)} was answered with ${status} ${text}`);
  const token = said['x-ledger-revision'];
  return {
    status,
    body: JSON.parse(text) as Body,
    text,
    token: typeof token === 'string' ? token : undefined,
    replayed: said['idempotency-replayed'] === 'true',
  };
}

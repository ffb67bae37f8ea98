import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** How often a request is repeated where the answer says that it may be, or there is none. */
const MAX_TRIES = 8;

export type Answer = {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly token: string | undefined;
};

export type Client = {
  /** Calls a route with a body as text. Repeats it, under the same key, after a 503, a 429 or a lost connection. */
  post(path: string, call: { readonly app: string; readonly key: string; readonly body: string }): Promise<Answer>;
  /** Reads; `atLeast` is the token of a write that the answer must show. */
  get(path: string, atLeast?: string): Promise<Answer>;
  close(): void;
};

/** A client of the service's routes for services, over connections that are kept. */
export function createClient(base: URL, serviceKey: string, connections: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, noDelay: true });
  const common = { 'x-service-key': serviceKey };

  async function call(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await once(method, path, headers, body);
        if ((answer.status !== 503 && answer.status !== 429) || tries === MAX_TRIES) return answer;
      } catch (error) {
        if (tries === MAX_TRIES) throw error;
      }
      await delay(25 * 2 ** tries);
    }
  }

  function once(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, base), { method, agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('error', reject);
        response.once('end', () => resolve(answerOf(response, text)));
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }

  return {
    post: (path, { app, key, body }) =>
      call(
        'POST',
        path,
        {
          ...common,
          'x-app-id': app,
          'idempotency-key': key,
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
        },
        body,
      ),
    get: (path, atLeast) => call('GET', path, atLeast === undefined ? common : { ...common, 'x-min-revision': atLeast }),
    close: () => agent.destroy(),
  };
}

/** What is no JSON counts as an answer without fields: its status says enough. */
function answerOf({ statusCode = 0, headers }: IncomingMessage, text: string): Answer {
  const token = headers['x-ledger-revision'];
  let body: Answer['body'] = {};
  try {
    body = JSON.parse(text) as Answer['body'];
  } catch {
    body = { text };
  }
  return { status: statusCode, body, token: typeof token === 'string' ? token : undefined };
}

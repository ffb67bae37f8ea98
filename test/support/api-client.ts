/** An answer as it came over HTTP; `body` is what the JSON was, or the text where it was none. */
export type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown };

export type HeadersSent = Readonly<Record<string, string>>;

/** Calls the API over HTTP with the headers of one caller. */
export type ApiClient = {
  get(path: string, headers?: HeadersSent): Promise<Answer>;
  post(path: string, body: unknown, headers?: HeadersSent): Promise<Answer>;
  /** Sends a body as it is, under the content type that the headers name. */
  send(method: string, path: string, body: string | Uint8Array | undefined, headers?: HeadersSent): Promise<Answer>;
};

const SERVICES = '/api/v1/internal/credits';

/** A client for the service at a URL whose calls all carry these headers. */
export function createApiClient(url: string, callers: HeadersSent = {}): ApiClient {
  const send: ApiClient['send'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, { method, headers: { ...callers, ...headers }, body: body ?? null });
    return { status: response.status, headers: response.headers, body: parsed(await response.text()) };
  };
  return {
    send,
    get: (path, headers) => send('GET', path, undefined, headers),
    post: (path, body, headers) => send('POST', path, JSON.stringify(body), { 'content-type': 'application/json', ...headers }),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The text that a member of an answer's body is. Throws where it is none. */
export function textOf({ status, body }: Answer, member: string): string {
  const value = (body as Readonly<Record<string, unknown>>)[member];
  if (typeof value !== 'string') throw new Error(`no text "${member}" in ${status} ${JSON.stringify(body)}`);
  return value;
}

/** The answer, where it is a 200. Throws what it says otherwise. */
export function granted(answer: Answer): Answer {
  if (answer.status !== 200) throw new Error(`200 expected: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
}

let grants = 0;

/** Gives a user credits, and with them an account. */
export async function giveCredits(client: ApiClient, userId: string, amount: number, more: object = {}): Promise<Answer> {
  grants += 1;
  return granted(
    await client.post(`${SERVICES}/grant`, { userId, amount, reason: 'test', referenceId: `grant-${grants}`, ...more }),
  );
}

/** Holds some of a user's credits; returns the id of the hold. */
export async function holdCredits(client: ApiClient, userId: string, amount: number, more: object = {}): Promise<string> {
  return textOf(granted(await client.post(`${SERVICES}/reserve`, { userId, amount, ...more })), 'reservationId');
}

/** The token of what an answer says that it has written. */
export function tokenOf({ headers }: Answer): string {
  return headers.get('x-ledger-revision') ?? '';
}

const PATIENCE = 15;

/** Reads what one has written oneself. The service waits for its workers a bounded time: on a busy machine, more than once. */
export async function readOwn(client: ApiClient, path: string, headers: HeadersSent = {}): Promise<Answer> {
  let answer = await client.get(path, headers);
  for (let count = 1; count < PATIENCE && answer.status === 409; count += 1) answer = await client.get(path, headers);
  return answer;
}

import type { RawAnswer } from './connection.ts';

const ROUTES = '/api/v1/internal/credits';
const CATALOGUE = '/api/v1/catalogue/operations/bench';

/** Renders whole requests as text, each command under a key of its own. */
export type Requests = ReturnType<typeof createRequests>;

/** Requests to a service, as an app with the service's key. */
export function createRequests(serviceKey: string) {
  const common = `host: localhost\r\nx-service-key: ${serviceKey}\r\nx-app-id: bench\r\n`;
  let keys = 0;
  const send = (method: string, path: string, body: string): string =>
    `${method} ${path} HTTP/1.1\r\n${common}idempotency-key: bench-${(keys += 1)}\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const post = (route: string, body: string): string => send('POST', `${ROUTES}/${route}`, body);
  return {
    /** What an operation of the app costs, and how many of its uses are free for ever. */
    price: (operation: string, freeUses: number) =>
      send(
        'PUT',
        `${CATALOGUE}/${operation}`,
        freeUses === 0 ? '{"cost":0.01}' : `{"cost":0.01,"free":{"uses":${freeUses},"period":"lifetime"}}`,
      ),
    useOperation: (user: string, operation: string) =>
      post('use', `{"userId":"${user}","operation":"${operation}","appId":"bench"}`),
    useWithWords: (user: string) =>
      post('use', `{"userId":"${user}","amount":0.01,"appId":"bench","description":"A picture of a lighthouse at night"}`),
    refund: (user: string, transactionId: string) =>
      post('refund', `{"userId":"${user}","amount":0.01,"transactionId":"${transactionId}"}`),
    /** One of several grants to the same user. */
    grantAgain: (user: string, credits: number, reference: number) =>
      post('grant', `{"userId":"${user}","amount":${credits},"reason":"bench","referenceId":"again-${reference}"}`),
    grant: (user: string, credits: number) =>
      post('grant', `{"userId":"${user}","amount":${credits},"reason":"bench","referenceId":"start"}`),
    use: (user: string) => post('use', `{"userId":"${user}","amount":0.01,"appId":"bench"}`),
    reserve: (user: string) => post('reserve', `{"userId":"${user}","amount":0.02,"appId":"bench"}`),
    commit: (reservationId: string) => post('commit', `{"reservationId":"${reservationId}","amount":0.01}`),
    balance: (user: string, atLeast: string) =>
      `GET ${ROUTES}/balance/${user} HTTP/1.1\r\n${common}x-min-revision: ${atLeast}\r\n\r\n`,
  };
}

/** The reservation that an answer names. */
export function reservationIdOf({ text }: RawAnswer): string | undefined {
  return /"reservationId":"([^"]+)"/.exec(text)?.[1];
}

/** The transaction that an answer names. */
export function transactionIdOf({ text }: RawAnswer): string | undefined {
  return /"transaction":\{"id":"([^"]+)"/.exec(text)?.[1];
}

/** The token of what an answer's command wrote. */
export function tokenOf({ text }: RawAnswer): string | undefined {
  return /\r\nx-ledger-revision: *([^\r]+)/i.exec(text)?.[1];
}

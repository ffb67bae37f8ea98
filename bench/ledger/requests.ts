import type { RawAnswer } from './connection.ts';

const ROUTES = '/api/v1/internal/credits';

/** Renders whole requests as text, each command under a key of its own. */
export type Requests = ReturnType<typeof createRequests>;

/** Requests to a service, as an app with the service's key. */
export function createRequests(serviceKey: string) {
  const common = `host: localhost\r\nx-service-key: ${serviceKey}\r\nx-app-id: bench\r\n`;
  let keys = 0;
  const post = (route: string, body: string): string =>
    `POST ${ROUTES}/${route} HTTP/1.1\r\n${common}idempotency-key: bench-${(keys += 1)}\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  return {
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

/** The token of what an answer's command wrote. */
export function tokenOf({ text }: RawAnswer): string | undefined {
  return /\r\nx-ledger-revision: *([^\r]+)/i.exec(text)?.[1];
}

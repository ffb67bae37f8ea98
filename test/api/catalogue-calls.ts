import { type Answer, type ApiClient, type HeadersSent } from '../support/api-client.ts';

/** Calls of the catalogue, below this path. */
export const CATALOGUE = '/api/v1/catalogue';

export function getFrom(client: ApiClient, path: string): Promise<Answer> {
  return client.get(`${CATALOGUE}${path}`);
}

export function putTo(client: ApiClient, path: string, body: unknown, headers: HeadersSent = {}): Promise<Answer> {
  return client.send('PUT', `${CATALOGUE}${path}`, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
}

export function removeFrom(client: ApiClient, path: string, headers: HeadersSent = {}): Promise<Answer> {
  return client.send('DELETE', `${CATALOGUE}${path}`, undefined, headers);
}

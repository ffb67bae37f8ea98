import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';

type Refusal = { readonly status: string; readonly error: string; readonly message: string };

/** https://nodejs.org/docs/latest-v20.x/api/http.html#event-clienterror */
const REFUSALS: { readonly [code: string]: Refusal } = {
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    error: 'headers_too_large',
    message: 'The headers, or the address, are too long',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    error: 'request_timeout',
    message: 'The request did not arrive in time',
  },
};
const MALFORMED: Refusal = { status: '400 Bad Request', error: 'bad_request', message: 'This is no HTTP request' };

/** Says in the words of the contract what is wrong with what can't be read as a request, and closes the connection. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const { status, error: code, message } = REFUSALS[error.code ?? ''] ?? MALFORMED;
  const body = JSON.stringify({ statusCode: Number.parseInt(status, 10), error: code, message, requestId: randomUUID() });
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  if (socket.writable) socket.write(head + body);
  socket.destroySoon();
}

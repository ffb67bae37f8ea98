import { performance } from 'node:perf_hooks';
import { type Connection, openConnection, type RawAnswer } from './connection.ts';
import type { Load } from './load.ts';
import { type Requests, tokenOf } from './requests.ts';

const CATCH_UP_WITHIN_MS = 300_000;
/** The service takes a write's token on reads of any account. */
const ANYONE = 'hot';

type Reading = { readonly service: { readonly port: number }; readonly requests: Requests };

/** How long after a load the read side takes, in ms, until it shows the last write of every connection. */
export async function lagAfter(load: Load, { service, requests }: Reading): Promise<number> {
  const started = performance.now();
  const connection = await openConnection(service.port, () => undefined);
  try {
    for (const token of load.last.flatMap((answer) => tokenOf(answer) ?? [])) {
      await untilVisible(connection, requests.balance(ANYONE, token));
    }
  } finally {
    connection.close();
  }
  return performance.now() - started;
}

async function untilVisible(connection: Connection, request: string): Promise<void> {
  const deadline = performance.now() + CATCH_UP_WITHIN_MS;
  for (;;) {
    const answer = await new Promise<RawAnswer>((resolve) => connection.send(request, resolve));
    if (answer.status === 200) return;
    if (answer.status !== 409 || performance.now() > deadline)
      throw new Error(`the read side does not catch up:\n${answer.text}`);
  }
}

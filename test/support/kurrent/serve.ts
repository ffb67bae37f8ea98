import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { startKurrentDouble } from './double.ts';
import { obey } from './steering.ts';

/*
 * The double as a process of its own, for what starts several processes against one server:
 *
 *   node --import tsx test/support/kurrent/serve.ts [--port N] [--control-port N] [--version V] [--no-batch-append]
 *     [--tls] [--username U --password P]
 *
 * It prints `listening on esdb://…` and `control on http://…`, where commands of `steering.ts` are posted to. Its log is in
 * memory, so it is gone with the process; SIGTERM ends it.
 */

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'control-port': { type: 'string', default: '0' },
    version: { type: 'string' },
    'no-batch-append': { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
    username: { type: 'string' },
    password: { type: 'string' },
  },
});
const { username, password, version } = values;

const double = await startKurrentDouble({
  port: Number(values.port),
  batchAppend: !values['no-batch-append'],
  tls: values.tls,
  ...(version !== undefined && { version }),
  ...(username !== undefined && password !== undefined && { credentials: { username, password } }),
});

async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  try {
    return { status: 200, body: (await obey(double, await text(request))) ?? null };
  } catch (error) {
    return { status: 400, body: error instanceof Error ? error.message : String(error) };
  }
}

const control = createServer((request, response) => {
  void answer(request).then(({ status, body }) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
});
control.listen(Number(values['control-port']), '127.0.0.1');
await once(control, 'listening');

process.stdout.write(`listening on ${double.url}\n`);
// A TCP server has an address of this kind once it listens.
process.stdout.write(`control on http://127.0.0.1:${(control.address() as AddressInfo).port}/\n`);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    control.close();
    control.closeAllConnections();
    void double.close();
  });
}

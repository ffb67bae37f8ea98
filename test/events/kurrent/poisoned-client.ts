import { setTimeout as sleep } from 'node:timers/promises';
import { EventStoreDBClient } from '@eventstore/db-client';
import { event, named } from './double-client.ts';

/* A client that sends what poisons it, and says what becomes of it. */

const [url = ''] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const uncaught = new Promise<string>((resolve) => {
  process.once('unhandledRejection', (reason) => resolve(String(reason)));
  process.once('uncaughtException', (error) => resolve(String(error)));
});

const client = EventStoreDBClient.connectionString(url);
const write = (by: EventStoreDBClient): Promise<string> => by.appendToStream(named('poison'), event(1)).then(() => 'written');

const malformed = client.appendToStream(named('poison'), event(1, 'nonsense'));
say(
  `malformed: ${await malformed.then(
    () => 'written',
    (error: { type: string; message: string }) => `${error.type} ${error.message}`,
  )}`,
);
say(`meanwhile: ${await write(client)}`);
say(`uncaught: ${await uncaught}`);
say(`afterwards: ${await Promise.race([write(client), sleep(1_000, 'no answer')])}`);
say(`another client: ${await write(EventStoreDBClient.connectionString(url))}`);
process.exit();

import { randomUUID } from 'node:crypto';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';

/*
 * The bare client in a process of its own: single-event appends, so many at once, each to one of many streams. Prints
 * how many a second were answered. `bare-client.ts <url> <prefix> <at once> <streams> <milliseconds>`
 */

const [url = '', prefix = '', atOnce = '64', streams = '10000', milliseconds = '4000'] = process.argv.slice(2);
const client = EventStoreDBClient.connectionString(url);

/** About as much as the ledger writes of a use. */
const DATA = { amount: 10_000, fromAvailable: [[1, 10_000]], label: 'bench', text: 'x'.repeat(250) };
const METADATA = { actor: 'bench', at: new Date().toISOString(), text: 'x'.repeat(450) };

const end = performance.now() + Number(milliseconds);
let done = 0;

async function appendOn(): Promise<void> {
  while (performance.now() < end) {
    const stream = `${prefix}bare-${Math.floor(Math.random() * Number(streams))}`;
    await client.appendToStream(stream, jsonEvent({ id: randomUUID(), type: 'Bare', data: DATA, metadata: METADATA }));
    done += 1;
  }
}

const start = performance.now();
await Promise.all(Array.from({ length: Number(atOnce) }, appendOn));
console.log(JSON.stringify({ perSecond: (done / (performance.now() - start)) * 1_000 }));
await client.dispose();
process.exit(0);

import { parentPort, workerData } from 'node:worker_threads';
import type { Position } from '../store.ts';
import { connect, whyOf } from './client.ts';
import type { Answers, Asked, FromThread, Sighting, ToThread } from './protocol.ts';

/*
 * A thread with one client in it. The client keeps its pending appends in a map of its module, leaves rejections
 * unhandled and can be poisoned for good: here all of that ends with the thread, which is replaced.
 */

/** Sightings that were sent and not yet taken, at the most: then reading rests, and the server may drop us. */
const UNTAKEN = 20_000;
const SENT_TOGETHER = 500;

const port = parentPort;
if (port === null) throw new Error('this is no thread');
const client = connect((workerData as { readonly url: string }).url);
const following = new Map<number, Following>();

process.on('unhandledRejection', (error) => send({ kind: 'trouble', why: whyOf(error) }));

port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'ask':
      void answer(message.asked).then((given) => send({ kind: 'answer', number: message.number, answer: given }));
      return;
    case 'follow':
      void follow(message);
      return;
    case 'taken':
      following.get(message.number)?.taken(message.count);
      return;
    case 'unfollow':
      following.get(message.number)?.stop();
      following.delete(message.number);
      return;
    default:
      message satisfies never;
  }
});

function send(message: FromThread): void {
  port?.postMessage(message);
}

async function answer(asked: Asked): Promise<Answers[Asked['ask']]> {
  switch (asked.ask) {
    case 'check':
      return client.check().catch((error: unknown) => ({ why: whyOf(error) }));
    case 'append':
      return Promise.all(asked.batches.map((batch) => client.append(batch)));
    case 'read':
      return client.readStreams(asked.ranges);
    case 'read-all':
      return client.readAll(asked.range).then(
        (events) => ({ events }),
        (error: unknown) => ({ why: whyOf(error) }),
      );
    case 'search':
      return client.search(asked.search).catch((error: unknown) => ({ why: whyOf(error) }));
    default:
      return asked satisfies never;
  }
}

type Following = { readonly taken: (count: number) => void; readonly stop: () => void };

async function follow({ number, after, prefixes }: Extract<ToThread, { kind: 'follow' }>): Promise<void> {
  let untaken = 0;
  let goOn: (() => void) | undefined;
  let waiting: Sighting[] = [];
  const onSearched = (position: Position) => send({ kind: 'searched', number, position });
  const flush = () => {
    if (waiting.length === 0) return;
    send({ kind: 'seen', number, sightings: waiting });
    waiting = [];
  };
  try {
    const subscription = client.follow({ after, prefixes, onSearched });
    following.set(number, {
      taken(count) {
        untaken -= count;
        goOn?.();
      },
      stop() {
        subscription.stop();
        goOn?.();
      },
    });
    for await (const sighting of subscription.sightings()) {
      if (!following.has(number)) return;
      if (waiting.push(sighting) === 1) setImmediate(flush);
      untaken += 1;
      if (waiting.length >= SENT_TOGETHER) flush();
      while (untaken >= UNTAKEN && following.has(number)) await new Promise<void>((resolve) => (goOn = resolve));
    }
    flush();
    send({ kind: 'dropped', number, why: 'the server ended it without a word' });
  } catch (error) {
    flush();
    send({ kind: 'dropped', number, why: whyOf(error) });
  } finally {
    following.delete(number);
  }
}

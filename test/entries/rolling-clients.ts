import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVICE_KEY } from './api-processes.ts';

/*
 * Clients of several API processes: each request goes to the next one in turn; what fails as a process that stops may
 * fail it is sent again, to the next, under the same key.
 */

/** What became of one try: the status it was answered with, or the code of the error that its connection met. */
export type Tried = {
  readonly url: string;
  readonly key: string;
  /** When it was sent and when it was over, in ms. */
  readonly from: number;
  readonly to: number;
  readonly result: number | string;
  /** Whether the answer ended its connection. */
  readonly closes: boolean;
};

/** What a try that is sent again may end with. */
const AGAIN: readonly (number | string)[] = [503, 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'];
/** In ms: an answer that takes longer never comes. */
const HANGS_AFTER = 10_000;
/** How often one request is sent, and how long it rests where every process was asked, in ms. */
const TRIES = 400;
const REST = 25;

export type Clients = {
  readonly tried: readonly Tried[];
  /** How many requests ended well, by user. */
  readonly done: ReadonlyMap<string, number>;
  readonly total: () => number;
  /** Sends no more, and waits for what is under way. Rejects with the first request that ended badly. */
  stop(): Promise<void>;
};

/**
 * Starts so many clients, which use `amount` credits of these users, until they are stopped. Half of them keep their
 * connections. `targets` says where requests may be sent now.
 */
export function startClients(options: {
  readonly count: number;
  readonly users: readonly string[];
  readonly amount: number;
  readonly targets: () => readonly string[];
}): Clients {
  const { count, users, amount, targets } = options;
  const agent = new Agent({ keepAlive: true });
  const tried: Tried[] = [];
  const done = new Map<string, number>(users.map((user) => [user, 0]));
  let turn = 0;
  let stopped = false;

  async function run(name: number): Promise<void> {
    for (let number = 0; !stopped; number += 1) {
      const userId = users[(name + number) % users.length] ?? '';
      await untilDone(userId, name % 2 === 0 ? agent : false);
      done.set(userId, (done.get(userId) ?? 0) + 1);
    }
  }

  async function untilDone(userId: string, over: Agent | false): Promise<void> {
    const key = randomUUID();
    const mine: Tried[] = [];
    for (let times = 0; times < TRIES; times += 1) {
      const all = targets();
      const url = all[turn % all.length];
      turn += 1;
      if (url !== undefined) {
        const one = await useOnce(url, { userId, amount }, key, over);
        tried.push(one);
        mine.push(one);
        if (one.result === 200) return;
        if (!AGAIN.includes(one.result)) break;
      }
      if (all.length === 0 || mine.length % all.length === 0) await delay(REST);
    }
    throw new Error(`a request ended badly: ${JSON.stringify(mine.slice(-3))}`);
  }

  const clients = Array.from({ length: count }, (_, name) => run(name));
  const outcome = Promise.all(clients).catch((error: unknown) => {
    stopped = true;
    return error;
  });
  return {
    tried,
    done,
    total: () => [...done.values()].reduce((sum, one) => sum + one, 0),
    async stop() {
      stopped = true;
      const ended = await outcome;
      await Promise.allSettled(clients);
      agent.destroy();
      if (ended instanceof Error) throw ended;
    },
  };
}

/** Uses credits once, over an agent's connections or a new one. */
export function useOnce(url: string, body: object, key: string, agent: Agent | false): Promise<Tried> {
  const from = performance.now();
  return new Promise((resolve) => {
    const over = (result: number | string, closes = false) => resolve({ url, key, from, to: performance.now(), result, closes });
    const headers = { 'content-type': 'application/json', 'x-service-key': SERVICE_KEY, 'idempotency-key': key };
    const options = { method: 'POST', agent, headers, timeout: HANGS_AFTER };
    const sent = request(`${url}/api/v1/internal/credits/use`, options, (response) => {
      const closes = response.headers.connection === 'close';
      response.resume();
      response.once('end', () => over(response.statusCode ?? 0, closes));
      response.once('error', (error: NodeJS.ErrnoException) => over(`half an answer: ${error.code ?? error.message}`));
    });
    sent.once('timeout', () => {
      over('hangs');
      sent.destroy();
    });
    sent.once('error', (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
    sent.end(JSON.stringify(body));
  });
}

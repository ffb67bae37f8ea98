import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { type Answer, createApiClient, textOf } from '../support/api-client.ts';

/*
 * Clients that reserve, commit, release and use, each command under its own key, and note what they were answered. A
 * command whose answer never came is, as often as not, sent again under the same key.
 */

const SERVICES = '/api/v1/internal/credits';

/** A command, and the answer to it where one came. */
export type Sent = {
  readonly userId: string;
  readonly key: string;
  readonly route: string;
  readonly body: object;
  answer: Answer | undefined;
};

export type Load = {
  readonly sent: readonly Sent[];
  /** How many commands were answered. */
  readonly answered: () => number;
  /** Where the service listens from now on; undefined while it is down. */
  moveTo(url: string | undefined): void;
  /** Sends no more, and waits for what is under way. */
  stop(): Promise<void>;
};

/** Sends a command to the service at a URL. */
export function send(url: string, serviceKey: string, { route, body, key }: Sent): Promise<Answer> {
  return createApiClient(url, { 'x-service-key': serviceKey }).post(`${SERVICES}/${route}`, body, { 'idempotency-key': key });
}

/** Starts clients, several for each user. `random` draws from 0 to 1. */
export function startLoad(options: {
  readonly users: readonly string[];
  readonly clientsPerUser: number;
  readonly serviceKey: string;
  readonly random: () => number;
}): Load {
  const { users, clientsPerUser, serviceKey, random } = options;
  const sent: Sent[] = [];
  let answered = 0;
  let stopped = false;
  let url: string | undefined;
  const place = new EventEmitter().setMaxListeners(0);

  async function run(userId: string): Promise<void> {
    const holds: string[] = [];
    while (!stopped) {
      const command: Sent = { userId, key: randomUUID(), ...nextCommand(userId, holds, random), answer: undefined };
      sent.push(command);
      while (!stopped && !(await tried(command)) && random() < 0.5);
      if (command.route === 'reserve' && command.answer?.status === 200) holds.push(textOf(command.answer, 'reservationId'));
    }
  }

  async function tried(command: Sent): Promise<boolean> {
    if (url === undefined) await once(place, 'known');
    if (stopped || url === undefined) return false;
    try {
      const answer = await send(url, serviceKey, command);
      // A process on its way out, or one that has lost its database, may refuse: that is no outcome.
      if (answer.status >= 500) return false;
      command.answer = answer;
      answered += 1;
      return true;
    } catch {
      return false;
    }
  }

  const clients = users.flatMap((user) => Array.from({ length: clientsPerUser }, () => run(user)));
  return {
    sent,
    answered: () => answered,
    moveTo(to) {
      url = to;
      if (to !== undefined) place.emit('known');
    },
    async stop() {
      stopped = true;
      place.emit('known');
      await Promise.all(clients);
    },
  };
}

function nextCommand(userId: string, holds: string[], random: () => number): Pick<Sent, 'route' | 'body'> {
  const amount = Math.ceil(random() * 2_000_000) / 1_000_000;
  const settles = holds.length > 0 && random() < 0.6;
  const reservationId = settles ? holds.shift() : undefined;
  if (reservationId === undefined) {
    return random() < 0.6
      ? { route: 'reserve', body: { userId, amount, metadata: { note: 'a hold' } } }
      : { route: 'use', body: { userId, amount, description: 'a use' } };
  }
  if (random() < 0.2) return { route: 'refund-reservation', body: { reservationId, reason: 'failed' } };
  return { route: 'commit', body: { reservationId, ...(random() < 0.3 ? {} : { amount }) } };
}

import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Body, ContractError, microIn, must, mustBe, type SoakAccount, soakAccount, textIn } from './accounts.ts';
import { APP, type Draft, type Kind, SERVICES, type Written } from './draft.ts';
import { type Random, randomOf } from './random.ts';
import type { Reply, Wire } from './wire.ts';
import { firstPrices, nextWork, type Reach, type Work } from './work.ts';

/*
 * The clients: each sends one thing after another, by its own draws, and repeats it until it has a definite answer.
 * What was answered is noted for the checks at the end.
 */

/** A command that got a definite answer. */
export type Sent = {
  readonly key: string;
  readonly kind: Kind;
  readonly stream: string;
  readonly app: string;
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  /** As it was sent; of a command in a batch, as its own route takes it. */
  readonly body: string;
  readonly status: number;
  /** What a 200 said, and the token of what was written. */
  readonly text: string;
  readonly token: string;
  readonly written: Written | 'nothing';
};

export type Clients = {
  readonly accounts: readonly SoakAccount[];
  readonly sent: readonly Sent[];
  readonly counts: { acknowledged: number; refused: number; looks: number; late: number };
  /** Rejects with the first fault of any client. */
  readonly ended: Promise<void>;
  /** Sends nothing new; `ended` resolves when all have their answers. */
  stop(): void;
};

const OWN_EACH = 3;
const HOT = 4;
const SHARED = 100;
/** In ms: how long a client rests between two commands, at the most. */
const REST = 60;
/** How often a command is sent again that was answered, and how often with another body. */
const ASKED_AGAIN = 0.03;
const MIXED_UP = 0.01;

/** In ms: how old a process' catalogue may be (docs/catalogue.md), and a little. */
const CATALOGUE_AGE = 1_250;

/** Starts so many clients. Their accounts, and the prices of what they use, are theirs to make. */
export async function startClients(
  wire: Wire,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<Clients> {
  const shared = Array.from({ length: SHARED }, (_, number) => soakAccount(`user-${number}`, false));
  const hot = Array.from({ length: HOT }, (_, number) => soakAccount(`hot-${number}`, false));
  const owns = Array.from({ length: count }, (_, client) =>
    Array.from({ length: OWN_EACH }, (_, number) => soakAccount(`own-${client}-${number}`, true)),
  );
  const accounts = [...owns.flat(), ...hot, ...shared];
  const newcomer = (name: string): SoakAccount => {
    const account = soakAccount(`new-${name}`, false);
    accounts.push(account);
    return account;
  };
  const notes: Notes = { sent: [], counts: { acknowledged: 0, refused: 0, looks: 0, late: 0 } };
  const keeper = new Client('keeper', wire, randomOf(seed, 'keeper'), notes);
  for (const draft of firstPrices()) await keeper.perform({ kind: 'one', draft });
  // The other process may know an older catalogue for so long, and no operation of it; then it knows these, or says 503.
  await delay(CATALOGUE_AGE);
  let stopped = false;
  const run = async (own: readonly SoakAccount[], index: number): Promise<void> => {
    const client = new Client(`c${index}`, wire, randomOf(seed, `client ${index}`), notes);
    while (!stopped) await client.next({ own, hot, shared, newcomer });
  };
  const ended = Promise.all(owns.map(run)).then(() => undefined);
  // Whoever waits for the end hears of it: nobody need wait yet.
  ended.catch(() => (stopped = true));
  return { accounts, ...notes, ended, stop: () => void (stopped = true) };
}

type Notes = Pick<Clients, 'counts'> & { readonly sent: Sent[] };

class Client {
  readonly #name: string;
  readonly #wire: Wire;
  readonly #random: Random;
  readonly #notes: Notes;
  #number = 0;

  constructor(name: string, wire: Wire, random: Random, notes: Notes) {
    this.#name = name;
    this.#wire = wire;
    this.#random = random;
    this.#notes = notes;
  }

  async next(reach: Reach): Promise<void> {
    await this.perform(nextWork(reach, this.#random, `${this.#name}-${this.#number}`));
    await delay(this.#random.below(REST));
  }

  async perform(work: Work): Promise<void> {
    this.#number += 1;
    const key = `${this.#name}-${this.#number}`;
    switch (work.kind) {
      case 'one':
        return this.#command(work.draft, key);
      case 'batch':
        return this.#batch(work.drafts.map((draft, place) => ({ draft, key: `${key}.${place}` })));
      case 'atomic':
        return this.#atomic(work.drafts, key);
      case 'validate':
        return this.#validate(work.account);
      case 'balance':
        return this.#balance(work.account);
      default:
        return work satisfies never;
    }
  }

  async #command(draft: Draft, key: string): Promise<void> {
    const request = { ...draft, body: JSON.stringify(draft.body), key };
    const reply = await this.#wire.ask(request, this.#random);
    const written = this.#take({ draft, key }, reply.status, reply.body, reply.token, reply.text);
    if (written !== 'own') return;
    if (this.#random.chance(ASKED_AGAIN)) mustBeAgain(key, reply, await this.#wire.ask(request, this.#random));
    if (draft.method === 'POST' && this.#random.chance(MIXED_UP)) {
      const mixedUp = { ...request, body: JSON.stringify({ ...draft.body, more: 'another request' }) };
      const { status, body } = await this.#wire.ask(mixedUp, this.#random);
      must(
        status === 409 && body['error'] === 'idempotency_conflict',
        `${key} with another body: ${status} ${JSON.stringify(body)}`,
      );
    }
  }

  /** Commands with a key each: those that got no definite answer are sent again. */
  async #batch(commands: readonly { readonly draft: Draft; readonly key: string }[]): Promise<void> {
    const giveUpAt = performance.now() + BATCH_WITHIN;
    for (let open = commands; open.length > 0; ) {
      must(performance.now() < giveUpAt, `no definite answer to ${open.map(({ key }) => key).join(', ')}`);
      const items = open.map(({ draft, key }) => ({ type: draft.type, ...draft.body, idempotencyKey: key }));
      const results = await this.#askBatch(items);
      open = open.filter((command, place) => {
        const { status, body, revision } = results[place] as Result;
        must(status < 500 || status === 503, `${command.key} was answered with ${status} ${JSON.stringify(body)}`);
        if (status !== 503) this.#take(command, status, body, revision, JSON.stringify(body));
        return status === 503;
      });
      if (open.length > 0) await delay(this.#random.between(1, REST));
    }
  }

  /** Commands of one account under one key: all of them are done, or one is refused and the others are told so. */
  async #atomic(drafts: readonly Draft[], key: string): Promise<void> {
    const [first] = drafts;
    if (first === undefined) throw new Error('an empty batch');
    const body = { atomic: true, commands: drafts.map(({ type, body }) => ({ type, ...body })) };
    const reply = await this.#wire.ask({ ...TO_BATCH, body: JSON.stringify(body), key }, this.#random);
    const results = resultsOf(reply, drafts.length);
    const refused = results.filter(({ status, body }) => status !== 200 && body['error'] !== 'batch_aborted');
    const done = results.filter(({ status }) => status === 200);
    must(done.length === drafts.length || (done.length === 0 && refused.length === 1), `${key} was half done: ${reply.text}`);
    drafts.forEach((draft, place) => {
      const { status, body: said, revision = '' } = results[place] as Result;
      if (status === 200) draft.accepted(said, revision);
      else if (said['error'] === 'batch_aborted') draft.undone();
      else draft.refused(status, said, false);
    });
    const whole = { ...first, kind: 'atomic' as const, ...TO_BATCH, body };
    const isDone = refused.length === 0;
    this.#note(
      { draft: whole, key },
      isDone ? 200 : (refused[0]?.status ?? 0),
      reply.text,
      reply.token,
      isDone ? 'own' : 'nothing',
    );
  }

  async #askBatch(commands: readonly object[]): Promise<readonly Result[]> {
    const body = JSON.stringify({ commands });
    return resultsOf(await this.#wire.ask({ ...TO_BATCH, body }, this.#random), commands.length);
  }

  /** Takes in what became of a command, and notes it. */
  #take(command: Command, status: number, body: Body, token: string | undefined, text: string): Written | 'nothing' {
    const { draft, key } = command;
    try {
      if (status !== 200) draft.refused(status, body, true);
      else must(token !== undefined, 'an answer without a token');
      const written = status === 200 ? draft.accepted(body, token ?? '') : 'nothing';
      this.#note(command, status, text, token, written);
      return written;
    } catch (error) {
      if (!(error instanceof ContractError)) throw error;
      throw new ContractError(`${key} (${draft.path} ${JSON.stringify(draft.body)}): ${error.message}: ${status} ${text}`);
    }
  }

  #note({ draft, key }: Command, status: number, text: string, token: string | undefined, written: Written | 'nothing'): void {
    const { kind, stream, app, method, path, body } = draft;
    const isDone = status === 200;
    this.#notes.counts[isDone ? 'acknowledged' : 'refused'] += 1;
    const said = { status, text: isDone ? text : '', token: token ?? '', written };
    this.#notes.sent.push({ key, kind, stream, app, method, path, body: JSON.stringify(body), ...said });
  }

  /** What an account has now, on the state at its head. */
  async #validate(account: SoakAccount): Promise<void> {
    const body = JSON.stringify({ userId: account.userId, amount: 1 });
    const reply = await this.#wire.ask({ method: 'POST', path: `${SERVICES}/validate`, body, app: APP }, this.#random);
    must(reply.status === 200, `validate of ${account.userId}: ${reply.status} ${reply.text}`);
    if (account.exact !== undefined)
      mustBe(microIn(reply.body, 'availableCredits'), account.exact.available, `what ${account.userId} has`);
    this.#notes.counts.looks += 1;
  }

  /** What the read model says of an account, no older than what was acknowledged; it may take longer than a read waits. */
  async #balance(account: SoakAccount): Promise<void> {
    const { exact, token: minRevision, userId } = account;
    const reply = await this.#wire.ask(
      { method: 'GET', path: `${SERVICES}/balance/${userId}`, app: APP, minRevision },
      this.#random,
    );
    const isLate = reply.status === 409 && textIn(reply.body, 'error') === 'not_yet_visible';
    must(isLate || reply.status === 200, `the balance of ${userId}: ${reply.status} ${reply.text}`);
    this.#notes.counts[isLate ? 'late' : 'looks'] += 1;
    if (isLate || exact === undefined) return;
    mustBe(microIn(reply.body, 'balance'), exact.available, `the balance of ${userId}`);
    mustBe(microIn(reply.body, 'reserved'), exact.reserved, `what ${userId} holds`);
  }
}

type Command = { readonly draft: Draft; readonly key: string };

/** In ms: how long a batch may take until each of its commands has a definite answer. */
const BATCH_WITHIN = 120_000;
const TO_BATCH = { method: 'POST', path: `${SERVICES}/batch`, app: APP } as const;

type Result = { readonly status: number; readonly body: Body; readonly revision?: string };

function resultsOf({ status, text, body }: Reply, count: number): readonly Result[] {
  const { results } = body as { readonly results?: readonly Result[] };
  must(status === 200 && results?.length === count, `a batch of ${count} was answered with ${status} ${text}`);
  return results;
}

/** A repeat gives what was given first, and says that it does. */
export function mustBeAgain(key: string, first: Pick<Reply, 'status' | 'body' | 'token'>, again: Reply): void {
  must(again.status === first.status, `${key} is answered with ${again.status} ${again.text}, and was with ${first.status}`);
  const [is, was] = [told(again.body), told(first.body)];
  must(isDeepStrictEqual(is, was), `${key} is answered with ${again.text}, and was with ${JSON.stringify(first.body)}`);
  must(again.token === first.token, `${key} wrote another revision than at first`);
  must(again.replayed, `${key} was done again`);
}

/** What an answer says of its command. What `init` says will run out is what is so now: no event tells it. */
function told(body: Body): Body {
  return { ...body, expiring: undefined };
}

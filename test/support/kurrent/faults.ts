/*
 * What the double does wrong on demand. A fault holds for the calls in its scope, for a number of them or until it is
 * cleared; of several that fit a call, the oldest takes it.
 */

export type Operation = 'append' | 'read' | 'subscribe' | 'delete' | 'features' | 'gossip';

/** Which calls a fault takes. Reads of `$all` have that as their stream. */
export type Scope = {
  /** Without them all that has to do with streams: what a server says of itself it also says when it can do nothing else. */
  readonly operations?: readonly Operation[];
  readonly streams?: (stream: string) => boolean;
  /** For how many calls; without it until cleared. */
  readonly times?: number;
};

export type Endpoint = { readonly host: string; readonly port: number };

export type Fault =
  | { readonly kind: 'hang' | 'drop' | 'lose-answer' | 'not-ready' | 'busy' }
  | { readonly kind: 'late'; readonly milliseconds: number }
  | { readonly kind: 'not-leader'; readonly leader: Endpoint }
  | { readonly kind: 'timeout'; readonly written: boolean }
  | { readonly kind: 'cut'; readonly afterEvents: number };

/** A fault that was switched on: how many calls it took, and what switches it off. */
export type ActiveFault = { readonly hits: number; clear(): void };

/** What a running subscription lets be done to it. */
export type FaultySubscription = {
  readonly stream: string;
  /** Ends it without an error. */
  end(): void;
  /** Ends it as the server ends one whose consumer is too slow. */
  tooSlow(): void;
  /** Tells it that it fell behind and caught up again, as servers from 24.10 on do. */
  fallBehind(): void;
};

const STREAM_CALLS: readonly Operation[] = ['append', 'read', 'subscribe', 'delete'];
const WRITES: readonly Operation[] = ['append', 'delete'];
const LIVE_BUFFER = 32;

export class Faults {
  /** How many live events wait for a slow consumer before its subscription is ended. */
  liveBuffer = LIVE_BUFFER;
  readonly #active: { fault: Fault; scope: Scope; left: number; hits: number }[] = [];
  readonly #subscriptions = new Set<FaultySubscription>();
  #held: (() => void)[] | undefined;
  #slowLeft = 0;
  #slowStreams: (stream: string) => boolean = () => true;
  #lagging = false;
  readonly #dropAll: () => void;
  readonly #onCatchUp: () => void;

  constructor(dropAll: () => void, onCatchUp: () => void) {
    this.#dropAll = dropAll;
    this.#onCatchUp = onCatchUp;
  }

  /** Accepts calls and never answers; nothing is written. */
  hang(scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'hang' }, scope);
  }

  /** Does at once what is asked, and says so after this many milliseconds. */
  late(milliseconds: number, scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'late', milliseconds }, scope);
  }

  /** Destroys the connection that a call came on; nothing is written. */
  drop(scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'drop' }, scope);
  }

  /** Writes, and destroys the connection instead of answering. */
  loseAnswer(scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'lose-answer' }, { operations: WRITES, ...scope });
  }

  /** Refuses with the address of another server that is the leader. */
  notLeader(leader: Endpoint, scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'not-leader', leader }, scope);
  }

  /** Refuses as a server does that is still starting. */
  notReady(scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'not-ready' }, scope);
  }

  /** Refuses as a server does that has too much to do. */
  busy(scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'busy' }, scope);
  }

  /** Answers a write as timed out, be it written or not. */
  timeout(written: boolean, scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'timeout', written }, { operations: WRITES, ...scope });
  }

  /** Destroys the connection after so many events of a read or subscription. */
  cut(afterEvents: number, scope: Scope = {}): ActiveFault {
    return this.#add({ kind: 'cut', afterEvents }, { operations: ['read', 'subscribe'], ...scope });
  }

  /** Answers nobody until `thaw`, which does what was asked in the meantime, whether somebody still waits or not. */
  freeze(): void {
    this.#held ??= [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    // What others wrote in the meantime comes before what was asked of this server.
    this.#caughtUp();
    for (const run of held) run();
  }

  /** Shows readers and subscribers nothing that is written from now on, like a follower that replicates late. */
  lag(): void {
    this.#lagging = true;
  }

  /** Ends `lag`: all that was written since is shown at once. */
  catchUp(): void {
    this.#lagging = false;
    this.#caughtUp();
  }

  dropConnections(): void {
    this.#dropAll();
  }

  /** Ends running subscriptions without an error. Returns how many. */
  endSubscriptions(streams: (stream: string) => boolean = () => true): number {
    return this.#toSubscriptions(streams, (subscription) => subscription.end());
  }

  /** Ends running subscriptions as too slow. Returns how many. */
  slowSubscriptions(streams: (stream: string) => boolean = () => true): number {
    return this.#toSubscriptions(streams, (subscription) => subscription.tooSlow());
  }

  /** Tells running subscriptions that they fell behind and caught up. Returns how many. */
  fallBehind(streams: (stream: string) => boolean = () => true): number {
    return this.#toSubscriptions(streams, (subscription) => subscription.fallBehind());
  }

  /** Ends subscriptions as too slow instead of passing on a live event, so many times. */
  tooSlow(times: number, streams: (stream: string) => boolean = () => true): void {
    this.#slowLeft = times;
    this.#slowStreams = streams;
  }

  /** Back to a sound server: whatever hung goes on hanging, what was frozen is done. */
  clear(): void {
    this.#active.length = 0;
    this.#slowLeft = 0;
    this.liveBuffer = LIVE_BUFFER;
    this.#lagging = false;
    this.thaw();
  }

  /* What follows is for the server alone. */

  /** Runs at once, or at the thaw. */
  whenThawed(run: () => void): void {
    if (this.#held === undefined) run();
    else this.#held.push(run);
  }

  /** Whether what is written must not be shown yet. */
  get blind(): boolean {
    return this.#lagging || this.#held !== undefined;
  }

  /** The fault that takes a call, counted as used. */
  take(operation: Operation, stream: string): Fault | undefined {
    if (this.#active.length === 0) return undefined;
    const found = this.#active.find(
      ({ scope, left }) =>
        left > 0 &&
        (scope.operations ?? STREAM_CALLS).includes(operation) &&
        (scope.streams === undefined || scope.streams(stream)),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    found.hits += 1;
    return found.fault;
  }

  /** Whether the next live event of a subscription is to end it. */
  takeSlow(stream: string): boolean {
    if (this.#slowLeft === 0 || !this.#slowStreams(stream)) return false;
    this.#slowLeft -= 1;
    return true;
  }

  /** Takes up a subscription while it runs. Returns what lets it go. */
  watch(subscription: FaultySubscription): () => void {
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  #caughtUp(): void {
    if (!this.blind) this.#onCatchUp();
  }

  #toSubscriptions(streams: (stream: string) => boolean, act: (subscription: FaultySubscription) => void): number {
    const found = [...this.#subscriptions].filter(({ stream }) => streams(stream));
    for (const subscription of found) act(subscription);
    return found.length;
  }

  #add(fault: Fault, scope: Scope): ActiveFault {
    const entry = { fault, scope, left: scope.times ?? Number.POSITIVE_INFINITY, hits: 0 };
    this.#active.push(entry);
    const active = this.#active;
    return {
      get hits() {
        return entry.hits;
      },
      clear() {
        const at = active.indexOf(entry);
        if (at >= 0) active.splice(at, 1);
      },
    };
  }
}

import { randomUUID } from 'node:crypto';
import { type DoubleOptions, type KurrentDouble, startKurrentDouble } from './double.ts';
import { KurrentLog } from './log.ts';
import type { Member, Standing } from './node.ts';

/*
 * Several doubles on one log, as a cluster looks from outside: one leads, the others forward what they are given to write.
 * Only who asks for the leader is sent there by them. They replicate at once, unless one is made to lag.
 */

export type ClusterOptions = {
  /** How long the cluster is without a leader after one is gone, in ms. */
  readonly electionMs?: number;
  readonly version?: string;
};

export type KurrentCluster = {
  /** Names every node, so that the client asks them who leads. */
  readonly url: string;
  readonly log: KurrentLog;
  readonly nodes: readonly KurrentDouble[];
  /** Undefined while the others elect one, and where fewer than half are left. */
  readonly leader: KurrentDouble | undefined;
  /** Makes another node the leader; the one before goes on as a follower. */
  lead(node: KurrentDouble): void;
  close(): Promise<void>;
};

const ELECTION_MS = 200;

type Seat = { readonly id: string; double?: KurrentDouble; alive: boolean };

/** Starts a cluster, led by its first node. A node that is stopped has crashed. Whoever calls closes it. */
export async function startKurrentCluster(size = 3, options: ClusterOptions = {}): Promise<KurrentCluster> {
  const log = new KurrentLog();
  const seats: Seat[] = Array.from({ length: size }, () => ({ id: randomUUID(), alive: true }));
  const parliament = new Parliament(seats, options.electionMs ?? ELECTION_MS, () => {
    // Followers take no note of ids: who becomes a leader knows none that others wrote.
    log.forgetIds();
  });
  const nodes: KurrentDouble[] = [];
  for (const seat of seats) {
    const node = await startSeat(seat, parliament, { log, ...(options.version !== undefined && { version: options.version }) });
    seat.double = node;
    nodes.push(node);
  }
  return {
    url: `esdb://${nodes.map(({ host, port }) => `${host}:${port}`).join(',')}?tls=false`,
    log,
    nodes,
    get leader() {
      return parliament.leader?.double;
    },
    lead(node) {
      parliament.leader = seats.find(({ double }) => double === node);
    },
    async close() {
      parliament.close();
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

async function startSeat(seat: Seat, parliament: Parliament, options: DoubleOptions): Promise<KurrentDouble> {
  const double = await startKurrentDouble({
    ...options,
    cluster: {
      standing: (requiresLeader) => parliament.standing(seat, requiresLeader),
      members: () => parliament.members(),
    },
  });
  return {
    ...double,
    async stop() {
      seat.alive = false;
      parliament.changed();
      await double.stop();
    },
    async start() {
      await double.start();
      seat.alive = true;
      parliament.changed();
    },
  };
}

/** Who leads. */
class Parliament {
  #leader: Seat | undefined;
  readonly #onLeader: () => void;
  readonly #seats: readonly Seat[];
  readonly #electionMs: number;
  #election: NodeJS.Timeout | undefined;

  constructor(seats: readonly Seat[], electionMs: number, onLeader: () => void) {
    this.#seats = seats;
    this.#electionMs = electionMs;
    this.#onLeader = onLeader;
    this.#leader = seats[0];
  }

  get leader(): Seat | undefined {
    return this.#leader;
  }

  set leader(seat: Seat | undefined) {
    if (seat === this.#leader) return;
    this.#leader = seat;
    this.#onLeader();
  }

  standing(seat: Seat, requiresLeader: boolean): Standing {
    if (this.leader?.double === undefined) return 'not-ready';
    if (seat === this.leader || !requiresLeader) return 'ready';
    return { leader: { host: this.leader.double.host, port: this.leader.double.port } };
  }

  members(): readonly Member[] {
    return this.#seats.flatMap((seat) => {
      if (seat.double === undefined) return [];
      const { host, port } = seat.double;
      const state = this.leader === undefined ? 'unknown' : this.leader === seat ? 'leader' : 'follower';
      return [{ id: seat.id, endpoint: { host, port }, state, alive: seat.alive }];
    });
  }

  /** Takes note of who is there, and has a leader elected where there is none and may be one. */
  changed(): void {
    const alive = this.#seats.filter((seat) => seat.alive);
    const hasMajority = alive.length * 2 > this.#seats.length;
    if (this.leader?.alive === false || !hasMajority) this.leader = undefined;
    clearTimeout(this.#election);
    if (this.leader !== undefined || !hasMajority) return;
    this.#election = setTimeout(() => {
      this.leader = this.#seats.find((seat) => seat.alive);
    }, this.#electionMs);
  }

  close(): void {
    clearTimeout(this.#election);
  }
}

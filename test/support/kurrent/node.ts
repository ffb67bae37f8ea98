import type { Socket } from 'node:net';
import type { Endpoint, Faults } from './faults.ts';
import type { KurrentLog } from './log.ts';
import type { LoggedEvent } from './records.ts';

export type Credentials = { readonly username: string; readonly password: string };

/** What a server says to a call that only the leader may answer, or that nobody can at the moment. */
export type Standing = 'ready' | 'not-ready' | { readonly leader: Endpoint };

/** What the handlers of one server share. */
export type KurrentNode = {
  readonly log: KurrentLog;
  readonly faults: Faults;
  readonly version: string;
  readonly batchAppend: boolean;
  readonly credentials: Credentials | undefined;
  /** Where the server stands in its cluster; the leader, where it is alone. */
  standing(requiresLeader: boolean): Standing;
  members(): readonly Member[];
  readonly view: View;
  readonly sockets: Sockets;
};

export type Member = {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly state: 'leader' | 'follower' | 'unknown';
  readonly alive: boolean;
};

/** How much of the log a server shows: all of it, but where it is frozen or replicates late. */
export class View {
  readonly #log: KurrentLog;
  readonly #faults: () => Faults;
  readonly #listeners = new Set<(events: readonly LoggedEvent[]) => void>();
  readonly #unseen: (readonly LoggedEvent[])[] = [];
  #limit: number;

  constructor(log: KurrentLog, faults: () => Faults) {
    this.#log = log;
    this.#faults = faults;
    this.#limit = log.records.length;
    log.onCommit((events) => {
      if (this.#faults().blind) this.#unseen.push(events);
      else this.#show(events);
    });
  }

  /** How many records of the log are to be seen. */
  get limit(): number {
    return this.#faults().blind ? this.#limit : this.#log.records.length;
  }

  onCommit(listener: (events: readonly LoggedEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Shows what was written while the server saw nothing. */
  catchUp(): void {
    for (const events of this.#unseen.splice(0)) this.#show(events);
  }

  #show(events: readonly LoggedEvent[]): void {
    this.#limit = this.#log.records.length;
    for (const listener of this.#listeners) listener(events);
  }
}

/** The connections of a server, by the port at their other end. */
export class Sockets {
  readonly #open = new Map<number, Socket>();

  add(socket: Socket): void {
    const port = socket.remotePort;
    if (port === undefined) {
      socket.destroy();
      return;
    }
    this.#open.set(port, socket);
    socket.on('error', () => {}).on('close', () => void this.#open.delete(port));
  }

  /** Destroys the connection of a call; `peer` is its address and port. */
  drop(peer: string): void {
    this.#open.get(Number(peer.slice(peer.lastIndexOf(':') + 1)))?.destroy();
  }

  dropAll(): void {
    for (const socket of this.#open.values()) socket.destroy();
  }
}

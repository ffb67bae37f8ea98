import { z } from 'zod';
import type { KurrentDouble } from './double.ts';
import type { Scope } from './faults.ts';
import type { LoggedEvent } from './records.ts';

/*
 * How a double in a process of its own is steered: one JSON object after another is posted to it, each the name of what to
 * do and its arguments. Streams are named by the prefix of their names.
 */

const scope = {
  operations: z.array(z.enum(['append', 'read', 'subscribe', 'delete', 'features', 'gossip'])).optional(),
  prefix: z.string().optional(),
  times: z.int().positive().optional(),
};

const prefixed = { prefix: z.string().optional() };

const commandSchema = z.discriminatedUnion('do', [
  z.strictObject({ do: z.enum(['hang', 'drop', 'loseAnswer', 'notReady', 'busy']), ...scope }),
  z.strictObject({ do: z.literal('late'), milliseconds: z.number(), ...scope }),
  z.strictObject({ do: z.literal('timeout'), written: z.boolean(), ...scope }),
  z.strictObject({ do: z.literal('cut'), afterEvents: z.int(), ...scope }),
  z.strictObject({ do: z.literal('notLeader'), host: z.string(), port: z.int(), ...scope }),
  z.strictObject({ do: z.enum(['freeze', 'thaw', 'lag', 'catchUp', 'dropConnections', 'clear', 'stop', 'start']) }),
  z.strictObject({ do: z.enum(['endSubscriptions', 'slowSubscriptions', 'fallBehind']), ...prefixed }),
  z.strictObject({ do: z.literal('tooSlow'), times: z.int(), ...prefixed }),
  z.strictObject({ do: z.literal('liveBuffer'), events: z.int().positive() }),
  z.strictObject({ do: z.literal('writeSystemEvents'), count: z.int() }),
  z.strictObject({
    do: z.literal('write'),
    stream: z.string(),
    events: z.array(
      z.strictObject({
        type: z.string(),
        data: z.unknown().optional(),
        metadata: z.unknown().optional(),
        isJson: z.boolean().optional(),
      }),
    ),
  }),
  z.strictObject({ do: z.literal('events'), ...prefixed }),
]);

export type Steering = z.input<typeof commandSchema>;

/** An event as it is told over HTTP; data and metadata are text. */
export type ToldEvent = {
  readonly stream: string;
  readonly revision: string;
  readonly position: string;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
};

/** Does what a posted text asks. Rejects what is no command. Resolves to what is answered. */
export async function obey(double: KurrentDouble, text: string): Promise<unknown> {
  const command = commandSchema.parse(JSON.parse(text));
  const { faults, log } = double;
  switch (command.do) {
    case 'stop':
    case 'start':
      return double[command.do]();
    case 'late':
      return void faults.late(command.milliseconds, scopeOf(command));
    case 'timeout':
      return void faults.timeout(command.written, scopeOf(command));
    case 'cut':
      return void faults.cut(command.afterEvents, scopeOf(command));
    case 'notLeader':
      return void faults.notLeader({ host: command.host, port: command.port }, scopeOf(command));
    case 'endSubscriptions':
    case 'slowSubscriptions':
    case 'fallBehind':
      return faults[command.do](begins(command.prefix));
    case 'tooSlow':
      return faults.tooSlow(command.times, begins(command.prefix));
    case 'liveBuffer':
      faults.liveBuffer = command.events;
      return undefined;
    case 'writeSystemEvents':
      return log.writeSystemEvents(command.count);
    case 'write':
      return void log.write(
        command.stream,
        command.events.map(({ isJson, ...event }) => ({ ...event, ...(isJson !== undefined && { isJson }) })),
      );
    case 'events':
      return log.events.filter(({ stream }) => begins(command.prefix)(stream)).map((event) => told(event));
    case 'freeze':
    case 'thaw':
    case 'lag':
    case 'catchUp':
    case 'dropConnections':
    case 'clear':
      return faults[command.do]();
    case 'hang':
    case 'drop':
    case 'loseAnswer':
    case 'notReady':
    case 'busy':
      return void faults[command.do](scopeOf(command));
    default:
      return command satisfies never;
  }
}

const begins =
  (prefix = '') =>
  (stream: string): boolean =>
    stream.startsWith(prefix);

type ToldScope = { operations?: Scope['operations'] | undefined; prefix?: string | undefined; times?: number | undefined };

function scopeOf({ operations, prefix, times }: ToldScope): Scope {
  return {
    ...(operations !== undefined && { operations }),
    ...(prefix !== undefined && { streams: begins(prefix) }),
    ...(times !== undefined && { times }),
  };
}

function told(event: LoggedEvent): ToldEvent {
  return {
    stream: event.stream,
    revision: String(event.revision),
    position: String(event.position),
    id: event.id,
    type: event.type,
    data: Buffer.from(event.data).toString('utf8'),
    metadata: Buffer.from(event.metadata).toString('utf8'),
  };
}

const eventsSchema = z.array(
  z.object({
    stream: z.string(),
    revision: z.string(),
    position: z.string(),
    id: z.string(),
    type: z.string(),
    data: z.string(),
    metadata: z.string(),
  }),
);

/** Steers the double whose control stands at a URL. Rejects where it doesn't obey. */
export async function steer(controlUrl: string, command: Steering): Promise<unknown> {
  const response = await fetch(controlUrl, { method: 'POST', body: JSON.stringify(command) });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

/** What was written, in streams whose names begin like that. */
export async function eventsOf(controlUrl: string, prefix = ''): Promise<readonly ToldEvent[]> {
  return eventsSchema.parse(await steer(controlUrl, { do: 'events', prefix }));
}

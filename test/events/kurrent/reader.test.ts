import { expect, it } from 'vitest';
import type { Connection } from '../../../src/events/kurrent/connection.ts';
import { namesUnder } from '../../../src/events/kurrent/names.ts';
import type { Range, Read, RecordedEvent } from '../../../src/events/kurrent/protocol.ts';
import { kurrentReader } from '../../../src/events/kurrent/reader.ts';

function eventOf(stream: string, revision: number): RecordedEvent {
  return { stream, revision, id: `${stream} ${revision}`, type: 'T', data: '{}', metadata: '{}', hash: '', position: null };
}

it('asks for no more events at once than a server tells in time, however many streams there are', async () => {
  const asked: (readonly Range[])[] = [];
  const read = async (ranges: readonly Range[]): Promise<readonly Read[]> => {
    asked.push(ranges);
    return ranges.map(({ stream, count }) => ({
      events: Array.from({ length: count }, (_, revision) => eventOf(stream, revision)),
    }));
  };
  const reader = kurrentReader({ read } as Pick<Connection, 'read'> as Connection, namesUnder(''));
  const counts = [6_000, 6_000, 10_000, 1, 0, 3_000, 6_999, 1];
  const found = await reader.readRanges(
    counts.map((count, place) => ({ stream: `account-${place}`, from: 0, direction: 'forward', count })),
  );
  expect(found.map((events) => events.length)).toEqual(counts);
  expect(found.map((events) => events[0]?.stream)).toEqual(
    counts.map((count, place) => (count > 0 ? `account-${place}` : undefined)),
  );
  expect(asked.map((ranges) => ranges.map(({ count }) => count))).toEqual([[6_000], [6_000], [10_000], [1, 3_000, 6_999], [1]]);
});

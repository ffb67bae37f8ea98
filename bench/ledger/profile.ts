import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/*
 * Where the API's processor time goes, from V8's own profile of it. Time in native code is counted where it was called
 * from, by package or by folder of the source.
 */

/** https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile, times in µs. */
type CpuProfile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
};

const PLACES_SHOWN = 16;

export type Share = { readonly place: string; readonly share: number };

/** A folder for profiles, and what they say of a window of time, given in µs of the machine's monotonic clock. */
export function createProfiles(): {
  readonly folder: string;
  readonly read: (from: number, to: number) => readonly Share[];
  readonly remove: () => void;
} {
  const folder = mkdtempSync(join(tmpdir(), 'mana-profile-'));
  return {
    folder,
    read(from, to) {
      // The loader of TypeScript runs in a thread of its own and gets its own profile, a small one.
      const files = readdirSync(folder).map((name) => join(folder, name));
      const [largest] = files.toSorted((a, b) => statSync(b).size - statSync(a).size);
      if (largest === undefined) throw new Error('the API left no profile');
      return sharesOf(JSON.parse(readFileSync(largest, 'utf8')) as CpuProfile, from, to);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The machine's monotonic clock, in µs, the same in every process. */
export function monotonicMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function sharesOf(profile: CpuProfile, from: number, to: number): readonly Share[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id] as const)));
  const placeOf = (id: number): string => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const url = nodes.get(at)?.callFrame.url ?? '';
      if (url !== '') return placeOfUrl(url);
    }
    return nodes.get(id)?.callFrame.functionName.replace(/[()]/g, '') ?? '';
  };
  const times = new Map<string, number>();
  let now = profile.startTime;
  let busy = 0;
  profile.samples.forEach((id, index) => {
    const spent = profile.timeDeltas[index] ?? 0;
    now += spent;
    if (now < from || now > to || nodes.get(id)?.callFrame.functionName === '(idle)') return;
    busy += spent;
    const place = placeOf(id);
    times.set(place, (times.get(place) ?? 0) + spent);
  });
  const sorted = [...times].toSorted(([, a], [, b]) => b - a).slice(0, PLACES_SHOWN);
  return sorted.map(([place, spent]) => ({ place, share: spent / busy }));
}

/** A package, a part of Node, or a folder of the source. */
function placeOfUrl(url: string): string {
  const dependency = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (dependency !== undefined) return dependency;
  if (url.startsWith('node:')) return url.split('/').slice(0, 2).join('/');
  return /src\/(?:[^/]+\/){0,2}/.exec(url)?.[0] ?? url;
}

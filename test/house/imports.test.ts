import { beforeAll, describe, expect, it } from 'vitest';
import { lintTree } from './lint-tree.ts';

/*
 * Who may import whom, shown on a tree of its own under the project's own settings: the linter must refuse what the
 * table of imports forbids, and nothing else. Each file of the tree holds one import a line, so a finding's line names
 * its case.
 */

const FORBIDDEN: readonly (readonly [from: string, imported: string])[] = [
  ['src/events/a.ts', '../commands/a.ts'],
  ['src/events/a.ts', '../projections/a.ts'],
  ['src/events/a.ts', '../api/a.ts'],
  ['src/events/a.ts', '../workers/a.ts'],
  ['src/events/a.ts', '../context.ts'],
  ['src/events/a.ts', '../database.ts'],
  ['src/events/postgres/a.ts', '../../commands/a.ts'],
  ['src/events/a.ts', '../config.ts'],
  ['src/events/a.ts', 'bullmq'],
  ['src/commands/a.ts', '../projections/a.ts'],
  ['src/commands/a.ts', '../api/a.ts'],
  ['src/commands/a.ts', '../workers/a.ts'],
  ['src/commands/a.ts', '../events/store.ts'],
  ['src/commands/a.ts', '../events/postgres/a.ts'],
  ['src/commands/a.ts', './handle.ts'],
  ['src/commands/a.ts', './write-path/envelope.ts'],
  ['src/commands/a.ts', 'node:crypto'],
  ['src/commands/a.ts', 'pg'],
  ['src/commands/handle.ts', '../projections/a.ts'],
  ['src/commands/handle.ts', '../workers/a.ts'],
  ['src/commands/write-path/a.ts', '../../projections/a.ts'],
  ['src/commands/write-path/a.ts', '../../api/a.ts'],
  ['src/commands/write-path/a.ts', 'bullmq'],
  ['src/projections/a.ts', '../commands/a.ts'],
  ['src/projections/a.ts', '../api/a.ts'],
  ['src/projections/a.ts', '../workers/a.ts'],
  ['src/projections/a.ts', 'ioredis'],
  ['src/operational/a.ts', '../events/a.ts'],
  ['src/operational/a.ts', '../commands/a.ts'],
  ['src/operational/a.ts', '../api/a.ts'],
  ['src/operational/a.ts', '../database.ts'],
  ['src/operational/a.ts', 'fastify'],
  ['src/api/a.ts', '../workers/a.ts'],
  ['src/api/a.ts', '../events/postgres/a.ts'],
  ['src/api/a.ts', '../context.ts'],
  ['src/api/a.ts', '../server.ts'],
  ['src/api/a.ts', 'bullmq'],
  ['src/api/a.ts', 'ioredis'],
  ['src/api/a.ts', 'pg'],
  ['src/workers/a.ts', '../api/a.ts'],
  ['src/workers/a.ts', '../context.ts'],
  ['src/workers/a.ts', '../embedded/a.ts'],
  ['src/workers/a.ts', 'fastify'],
  ['bench/ledger/a.ts', '../../src/commands/a.ts'],
  ['bench/ledger/a.ts', '../../src/projections/a.ts'],
];

const ALLOWED: readonly (readonly [from: string, imported: string])[] = [
  ['src/events/postgres/a.ts', '../store.ts'],
  ['src/events/postgres/a.ts', 'pg'],
  ['src/commands/a.ts', '../events/amounts.ts'],
  ['src/commands/handle.ts', '../events/store.ts'],
  ['src/commands/handle.ts', './write-path/a.ts'],
  ['src/commands/write-path/a.ts', '../../events/store.ts'],
  ['src/projections/a.ts', '../events/amounts.ts'],
  ['src/projections/a.ts', '../database.ts'],
  ['src/api/a.ts', '../commands/a.ts'],
  ['src/api/a.ts', '../projections/a.ts'],
  ['src/api/a.ts', '../operational/a.ts'],
  ['src/operational/a.ts', 'pg'],
  ['src/workers/a.ts', '../commands/a.ts'],
  ['src/workers/a.ts', '../projections/a.ts'],
  ['src/workers/a.ts', '../events/store.ts'],
  ['src/workers/a.ts', 'bullmq'],
  ['src/server.ts', './api/a.ts'],
  ['src/context.ts', './workers/a.ts'],
  ['src/migrate.ts', './workers/a.ts'],
  ['src/embedded/a.ts', '../migrate.ts'],
];

/** What may be named as a type where its value may not be imported. */
const TYPES_ONLY: readonly (readonly [from: string, imported: string])[] = [
  ['src/api/a.ts', '../context.ts'],
  ['src/workers/a.ts', '../context.ts'],
  ['src/events/a.ts', '../config.ts'],
  ['src/commands/a.ts', './write-path/envelope.ts'],
];

type Case = { readonly from: string; readonly statement: string };

const refusedCases = casesOf('refused', FORBIDDEN);
const takenCases = [...casesOf('taken', ALLOWED), ...casesOf('type', TYPES_ONLY)];

describe('who imports whom', () => {
  const files = filesOf([...refusedCases, ...takenCases]);
  const placeOf = ({ from, statement }: Case): string => `${from}:${(files.get(from)?.indexOf(statement) ?? -1) + 1}`;
  let found: ReadonlySet<string>;

  beforeAll(() => {
    const findings = lintTree(files).filter(({ rule }) => rule === 'no-restricted-imports');
    found = new Set(findings.map(({ place }) => place));
  });

  it.each(refusedCases)('refuses "$statement" in $from', (one) => {
    expect(found).toContain(placeOf(one));
  });

  it.each(takenCases)('takes "$statement" in $from', (one) => {
    expect(found).not.toContain(placeOf(one));
  });
});

/** Names are told apart, since several cases stand in one file. */
function casesOf(kind: 'refused' | 'taken' | 'type', pairs: typeof FORBIDDEN): readonly Case[] {
  const verb = kind === 'type' ? 'import type' : 'import';
  return pairs.map(([from, imported], index) => ({ from, statement: `${verb} { one as ${kind}${index} } from '${imported}';` }));
}

function filesOf(cases: readonly Case[]): ReadonlyMap<string, readonly string[]> {
  const files = new Map<string, string[]>();
  for (const { from, statement } of cases) files.set(from, [...(files.get(from) ?? []), statement]);
  return files;
}

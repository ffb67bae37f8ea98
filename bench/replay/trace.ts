import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from './prices.ts';

const FILES: Record<App, string> = { code: 'azure-llm-2023-code.csv', chat: 'azure-llm-2023-conv.csv' };

/** One request of an AI service. */
export type TraceRow = { readonly app: App; readonly time: string; readonly context: bigint; readonly generated: bigint };

/** Both traces as one, in the order in which the requests came. Throws for a row that isn't whole. */
export function readTrace(): readonly TraceRow[] {
  return [...readFile('code'), ...readFile('chat')].toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

function readFile(app: App): readonly TraceRow[] {
  const text = readFileSync(join(import.meta.dirname, '..', 'data', FILES[app]), 'utf8');
  const lines = text.split('\n').slice(1);
  return lines.filter((line) => line.trim() !== '').map((line) => readRow(app, line.trim()));
}

function readRow(app: App, line: string): TraceRow {
  // Times are in one format, down to the same digit, so that their text sorts as they do.
  const match = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{7}),(\d+),(\d+)$/.exec(line);
  if (match === null) throw new Error(`not a row of the ${app} trace: ${line}`);
  const [, time = '', context = '', generated = ''] = match;
  return { app, time, context: BigInt(context), generated: BigInt(generated) };
}

import type { Comparison } from './compare-logs.ts';

/** What a comparison went through, as a table for people, a row a line. */
export function tableOf({ source, target, equalEnds, behind, findings }: Comparison): string {
  return aligned([
    ['', 'source', 'target', ''],
    ['streams', String(source.streams), String(target.streams), verdict(source.streams === target.streams)],
    ['events', String(source.events), String(target.events), verdict(source.events === target.events)],
    ['streams with the same last hash', String(source.streams), String(equalEnds), verdict(source.streams === equalEnds)],
    ['hashes recomputed', '', String(target.events), verdict(findings.length === 0)],
    ['events behind', '', String(behind), verdict(behind === 0)],
  ]);
}

function verdict(isAlike: boolean): string {
  return isAlike ? 'ok' : 'DIFFERENT';
}

/** The first and last columns are words and stand left, what is between are numbers and stand right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return column === 0 || column === row.length - 1 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

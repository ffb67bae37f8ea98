import { randomUUID } from 'node:crypto';
import type { CatalogueCommand } from '../../commands/catalogue-decider.ts';
import { ConfigError } from '../../config.ts';
import type { Context } from '../../context.ts';
import { CATALOGUE_STREAM } from '../../events/catalogue-events.ts';
import { type Change, type Difference, differenceOf } from './difference.ts';
import type { CatalogueFile } from './read-file.ts';

/** `dryRun`: nothing is written. `retireMissing`: what the file doesn't name is retired, and not only listed. */
export type ImportFlags = { readonly dryRun: boolean; readonly retireMissing: boolean };

/** Commands on their way at once: a part of what one stream lets wait. */
const TOGETHER = 500;

/**
 * Makes the catalogue what a file says, and tells line by line in what they differ and what was written. Repeated, it
 * finds no difference. Throws ConfigError that names what was refused, when all else is written.
 */
export async function importCatalogue(
  { catalogue, catalogueCommands }: Pick<Context, 'catalogue' | 'catalogueCommands'>,
  file: CatalogueFile,
  flags: ImportFlags,
  print: (line: string) => void,
): Promise<void> {
  await catalogue.refresh();
  const difference = differenceOf(file, catalogue.current());
  for (const line of linesOf(difference, flags)) print(line);
  if (flags.dryRun) return print('Nothing was written: --dry-run.');
  // What is retired makes room.
  const changes = [...(flags.retireMissing ? difference.missing : []), ...difference.changed, ...difference.added];
  const written = await write(catalogueCommands, changes);
  print(written === 0 ? 'Nothing was written.' : `Written: ${written} ${written === 1 ? 'event' : 'events'}.`);
}

function linesOf({ added, changed, missing, unchanged }: Difference, { retireMissing }: ImportFlags): readonly string[] {
  return [
    ...added.map(({ line }) => `+ ${line}`),
    ...changed.map(({ line }) => `~ ${line}`),
    ...missing.map(({ line }) => (retireMissing ? `- ${line}` : `? ${line} (not in the file: stays without --retire-missing)`)),
    `${added.length} added, ${changed.length} changed, ${missing.length} missing, ${unchanged} unchanged.`,
  ];
}

/** Returns how many events it took. */
async function write(catalogue: Context['catalogueCommands'], changes: readonly Change[]): Promise<number> {
  const correlationId = randomUUID();
  const refused: string[] = [];
  let written = 0;
  for (let from = 0; from < changes.length; from += TOGETHER) {
    const together = changes.slice(from, from + TOGETHER);
    const outcomes = await Promise.all(together.map(({ command }) => catalogue.execute(envelopeOf(command, correlationId))));
    outcomes.forEach((outcome, index) => {
      if (outcome.kind === 'accepted') written += 1;
      if (outcome.kind === 'rejected') refused.push(`${together[index]?.line}: ${JSON.stringify(outcome.rejection)}`);
    });
  }
  if (refused.length > 0) throw new ConfigError([`Written: ${written} events. Refused:`, ...refused].join('\n'));
  return written;
}

/** Without a key: what is so already is not written again. */
function envelopeOf(command: CatalogueCommand, correlationId: string) {
  return {
    stream: CATALOGUE_STREAM,
    command,
    actor: { kind: 'system', name: 'catalogue-import' } as const,
    key: null,
    commandId: randomUUID(),
    correlationId,
    causationId: null,
  };
}

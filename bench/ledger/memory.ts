import type { Service } from '../service.ts';
import { lanesFrom, type Load, runLoad } from './load.ts';
import { residentMiB } from './machine.ts';
import type { Requests } from './requests.ts';
import { mustBeFine } from './scenarios.ts';

/** What a fresh API process holds in memory after so many commands, in MiB. */
export type Memory = {
  readonly commands: number;
  readonly accounts: number;
  readonly load: Load;
  readonly resident: { readonly now: number; readonly peak: number } | undefined;
};

/** Grants to every account and then uses them at random, on a process that has done nothing before. */
export async function measureMemory(
  service: Service,
  requests: Requests,
  { commands, accounts }: { readonly commands: number; readonly accounts: number },
): Promise<Memory> {
  await service.restartApi();
  let sent = 0;
  const lanes = lanesFrom(() => {
    sent += 1;
    if (sent > commands) return undefined;
    return sent <= accounts
      ? requests.grant(`many-${sent}`, 1_000)
      : requests.use(`many-${1 + Math.floor(Math.random() * accounts)}`);
  });
  const load = await runLoad(service.port, lanes, 'until done');
  const resident = residentMiB(service.apiPid());
  mustBeFine(load);
  return { commands, accounts, load, resident };
}

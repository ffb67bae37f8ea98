import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '..', '..');
/** In ms: how long a process may take until it is ready, begun anew as often as need be, and until it has ended. */
const READY_WITHIN = 120_000;
const ENDS_WITHIN = 40_000;
const LOOK_EVERY = 50;
const BEGIN_AGAIN = 500;

export type ServiceProcessOptions = {
  readonly name: string;
  /** What it runs, from the project's root. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where what it prints is kept. */
  readonly folder: string;
  /** Whether it is ready, by what it has printed since it began. */
  readonly isReady: (printed: string) => boolean | Promise<boolean>;
  /** Told of a process that ends by itself when it was ready: that is a fault. */
  readonly onFault: (error: Error) => void;
};

/** How much of what a process prints is kept at hand: until it says that it is ready, and for a fault's message. */
const AT_HAND = 4_000;

/**
 * A place where one process of the service runs, is killed and runs again. One that can't begin, since its store is away
 * just then, is begun again, as whatever keeps services running does.
 */
export class ServiceProcess {
  readonly name: string;
  /** The ids of all that ever ran here. */
  readonly pids: number[] = [];
  readonly #options: ServiceProcessOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #exit: Promise<number | null> | undefined;
  #printed = '';
  #ready = false;
  #closed = false;

  constructor(options: ServiceProcessOptions) {
    this.name = options.name;
    this.#options = options;
    this.#log = createWriteStream(join(options.folder, `${options.name}.log`), { flags: 'a' });
  }

  /** Whether it runs and has been ready. */
  get isUp(): boolean {
    return this.#ready;
  }

  /** Begins a process and waits until it is ready. */
  async start(): Promise<void> {
    const giveUpAt = performance.now() + READY_WITHIN;
    while (performance.now() < giveUpAt && !this.#closed) {
      if (this.#child === undefined) this.#spawn();
      if (await this.#options.isReady(this.#printed)) {
        this.#ready = true;
        return;
      }
      if (this.#child === undefined) await delay(BEGIN_AGAIN);
      else await delay(LOOK_EVERY);
    }
    if (this.#closed) return;
    throw new Error(`${this.name} is not ready in ${READY_WITHIN} ms:\n${this.#printed}`);
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    this.#ready = false;
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  /** Tells it to end. Returns its exit code. */
  async stop(): Promise<number | null> {
    this.#ready = false;
    const exit = this.#exit;
    if (exit === undefined) return 0;
    this.#child?.kill('SIGTERM');
    const late = delay(ENDS_WITHIN, 'late' as const, { ref: false });
    const code = await Promise.race([exit, late]);
    if (code === 'late') throw new Error(`${this.name} does not end in ${ENDS_WITHIN} ms:\n${this.#printed}`);
    return code;
  }

  /** Ends it at once, when there is no time to wait. */
  abandon(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.kill();
    await new Promise<void>((resolve) => this.#log.end(resolve));
  }

  #spawn(): void {
    const { entry, env } = this.#options;
    this.#printed = '';
    const child = spawn(process.execPath, ['--max-semi-space-size=16', '--import', 'tsx', entry], {
      cwd: ROOT,
      env: { ...inherited(), ...env },
      // A group of its own, so that Ctrl-C reaches it through us alone, and what it leaves behind can be told.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    if (child.pid !== undefined) this.pids.push(child.pid);
    const hear = (chunk: Buffer): void => {
      this.#log.write(chunk);
      this.#printed = (this.#printed + chunk.toString()).slice(-AT_HAND);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        if (this.#child === child) this.#child = undefined;
        // Whoever ends it says before that it is no longer ready.
        if (this.#ready) this.#options.onFault(new Error(`${this.name} ended by itself (${signal ?? code}):\n${this.#printed}`));
        this.#ready = false;
        resolve(code);
      });
    });
  }
}

/** What the service is configured with stands in the soak alone. */
function inherited(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, LANG } = process.env;
  return { PATH, HOME, TMPDIR, LANG };
}

/** In ms: what a process began may notice a little later that it has gone. */
const GONE_WITHIN = 5_000;

/** Which of some processes, or of the groups that they began, still run after a while. */
export async function leftOf(pids: readonly number[]): Promise<readonly number[]> {
  const giveUpAt = performance.now() + GONE_WITHIN;
  let left = pids;
  while (left.length > 0 && performance.now() < giveUpAt) {
    left = left.filter((pid) => isThere(pid) || isThere(-pid));
    if (left.length > 0) await delay(LOOK_EVERY);
  }
  return left;
}

/** Whether there is a process, or with a negative id a group of them. */
export function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

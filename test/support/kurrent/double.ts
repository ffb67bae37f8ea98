import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { type Certificate, makeCertificate } from './certificate.ts';
import { Faults } from './faults.ts';
import { KurrentLog } from './log.ts';
import { type Credentials, type KurrentNode, type Member, Sockets, type Standing, View } from './node.ts';
import { serverOf } from './services.ts';

/*
 * A double of KurrentDB (EventStoreDB 23.10) on the wire: a gRPC server that the real client talks to, on a log in memory.
 * It does what the real server was seen to do, `double-*.test.ts` run against either; and where it may do one or another,
 * it does what is harder on the client. What it does wrong on demand is in `faults.ts`.
 *
 * It freezes what it is asked, not the process: pings are still answered. Who needs that too stops `serve.ts` with SIGSTOP.
 */

export type DoubleOptions = {
  /** 0, or nothing, for a free one. */
  readonly port?: number;
  /** What the server says its version is. */
  readonly version?: string;
  /** Off for a server so old that it has no BatchAppend. */
  readonly batchAppend?: boolean;
  /** Asks for these. The client sends none without TLS. */
  readonly credentials?: Credentials;
  readonly tls?: boolean;
  /** A log that is shared with others. */
  readonly log?: KurrentLog;
  /** How it stands in a cluster; alone without. */
  readonly cluster?: { standing(requiresLeader: boolean): Standing; members(): readonly Member[] };
};

export type KurrentDouble = {
  /** How a client connects to it, with the credentials that it asks for. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly log: KurrentLog;
  readonly faults: Faults;
  /** The file with the certificate that vouches for it, where it speaks TLS. */
  readonly caFile: string | undefined;
  /** Goes down as by `kill -9`; the log stays. */
  stop(): Promise<void>;
  /** Comes up again on the same port, with the same log, but without knowing the ids that it has seen. */
  start(): Promise<void>;
  /** Ends it for good. */
  close(): Promise<void>;
};

const HOST = '127.0.0.1';

/** Starts a double. Whoever calls closes it. */
export async function startKurrentDouble(options: DoubleOptions = {}): Promise<KurrentDouble> {
  const log = options.log ?? new KurrentLog();
  const sockets = new Sockets();
  const faults: Faults = new Faults(
    () => sockets.dropAll(),
    () => view.catchUp(),
  );
  const view = new View(log, () => faults);
  const tls = options.tls === true ? keepCertificate() : undefined;
  const id = randomUUID();
  let port = options.port ?? 0;
  const alone = {
    standing: (): Standing => 'ready',
    members: (): readonly Member[] => [{ id, endpoint: { host: HOST, port }, state: 'leader', alive: true }],
  };
  const node: KurrentNode = {
    log,
    faults,
    sockets,
    view,
    version: options.version ?? '23.10.8',
    batchAppend: options.batchAppend ?? true,
    credentials: options.credentials,
    ...(options.cluster ?? alone),
  };
  let running: Running | undefined = await run(node, port, tls);
  ({ port } = running);

  const stop = async (): Promise<void> => {
    await running?.stop();
    running = undefined;
  };
  return {
    get url() {
      const user = options.credentials;
      const who = user === undefined ? '' : `${encodeURIComponent(user.username)}:${encodeURIComponent(user.password)}@`;
      const how = tls === undefined ? 'tls=false' : `tls=true&tlsCAFile=${tls.file}`;
      return `esdb://${who}${HOST}:${port}?${how}`;
    },
    host: HOST,
    port,
    log,
    faults,
    caFile: tls?.file,
    stop,
    async start() {
      if (running !== undefined) return;
      log.forgetIds();
      running = await run(node, port, tls);
    },
    async close() {
      await stop();
      tls?.remove();
    },
  };
}

type Running = { readonly port: number; stop(): Promise<void> };

/** Listens and hands connections to a gRPC server, so that they are at hand to be destroyed. */
async function run(node: KurrentNode, port: number, tls: Kept | undefined): Promise<Running> {
  const server = serverOf(node);
  const injector = server.createConnectionInjector(credentialsOf(tls));
  const listener = createServer({ noDelay: true }, (socket) => {
    node.sockets.add(socket);
    injector.injectConnection(socket);
  });
  listener.listen(port, HOST);
  await once(listener, 'listening');
  // A TCP server has an address of this kind once it listens.
  return { port: (listener.address() as AddressInfo).port, stop: () => end(node, listener, server) };
}

async function end(node: KurrentNode, listener: TcpServer, server: Server): Promise<void> {
  const closed = once(listener, 'close');
  listener.close();
  node.sockets.dropAll();
  await closed;
  server.forceShutdown();
}

function credentialsOf(tls: Kept | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(null, [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.certificate) }]);
}

type Kept = Certificate & { readonly file: string; remove(): void };

/** The client reads the authority from a file. */
function keepCertificate(): Kept {
  const folder = mkdtempSync(join(tmpdir(), 'kurrent-double-'));
  const made = makeCertificate();
  const file = join(folder, 'ca.crt');
  writeFileSync(file, made.certificate);
  return { ...made, file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

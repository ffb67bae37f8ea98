import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that can be cut: for what happens when a connection is lost at a bad moment. */
export type TcpProxy = {
  /** The given URL, by way of the proxy. */
  readonly url: string;
  /** Cuts every connection at the next answer of the server, which has done its work by then. Resolves when it has. */
  readonly cutAtNextAnswer: () => Promise<void>;
  /** Cuts every connection and takes no more until `restore`. */
  readonly cut: () => Promise<void>;
  readonly restore: () => Promise<void>;
  /** Passes nothing on, in either direction, until `resume`; connections stay, and new ones are taken. */
  readonly hold: () => void;
  readonly resume: () => void;
  readonly close: () => Promise<void>;
};

/** Opens a way to the server that a URL names. Whoever calls closes it. */
export async function tcpProxy(target: string): Promise<TcpProxy> {
  const to = new URL(target);
  const sockets = new Set<Socket>();
  let atAnswer: (() => void) | undefined;
  let held = false;
  const server = createServer((client) => {
    const upstream = connect(Number(to.port), to.hostname);
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end).on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => {
      if (atAnswer === undefined) client.write(bytes);
      else atAnswer();
    });
    if (held) for (const socket of [client, upstream]) socket.pause();
  });
  const { port } = await listen(server, 0);
  const url = new URL(target);
  url.port = String(port);

  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const cut = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    endAll();
    await closed;
  };
  return {
    url: url.href,
    cutAtNextAnswer: () =>
      new Promise((resolve) => {
        atAnswer = () => {
          atAnswer = undefined;
          endAll();
          resolve();
        };
      }),
    cut,
    restore: async () => void (await listen(server, port)),
    hold: () => {
      held = true;
      for (const socket of sockets) socket.pause();
    },
    resume: () => {
      held = false;
      for (const socket of sockets) socket.resume();
    },
    close: async () => void (server.listening && (await cut())),
  };
}

async function listen(server: Server, port: number): Promise<AddressInfo> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server has an address of this kind once it listens.
  return server.address() as AddressInfo;
}

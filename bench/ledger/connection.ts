import { connect, type Socket } from 'node:net';

/** An answer as it came: what a command needs of it is cut out by whoever wants it. */
export type RawAnswer = { readonly status: number; readonly text: string };

/**
 * One kept connection with one request under way: whole requests go out as text, and of an answer no more is read than
 * its status and length. Made to cost next to nothing, since it shares the machine with what it measures.
 */
export type Connection = {
  /** Sends a request; `onAnswer` is called once, with its answer. */
  send(text: string, onAnswer: (answer: RawAnswer) => void): void;
  close(): void;
};

/** Opens a connection. A connection that breaks ends the measurement: `onBroken` is called with the reason. */
export function openConnection(port: number, onBroken: (error: Error) => void): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(connectionOf(socket, onBroken));
    });
  });
}

function connectionOf(socket: Socket, onBroken: (error: Error) => void): Connection {
  let received = '';
  let waiting: ((answer: RawAnswer) => void) | undefined;
  let closing = false;
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received = received === '' ? chunk : received + chunk;
    if (!isWhole(received)) return;
    const text = received;
    const answered = waiting;
    received = '';
    waiting = undefined;
    answered?.({ status: Number(text.slice(9, 12)), text });
  });
  socket.once('error', onBroken);
  socket.once('close', () => {
    if (!closing) onBroken(new Error('the service closed a connection'));
  });
  return {
    send(text, onAnswer) {
      waiting = onAnswer;
      socket.write(text, 'latin1');
    },
    close() {
      closing = true;
      socket.destroy();
    },
  };
}

/** Whether an answer with a known length is there to its end. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
  if (length === undefined) throw new Error(`an answer without a length:\n${text}`);
  return text.length >= end + 4 + Number(length);
}

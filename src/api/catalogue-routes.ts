import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Catalogue, findPackage, modeOf, type PricedOperation, priceOf, type SoldPackage } from '../commands/catalogue.ts';
import { CATALOGUE_STREAM } from '../events/catalogue-events.ts';
import { creditsFromMicro } from '../events/amounts.ts';
import { listPackages } from '../projections/packages.ts';
import {
  appSchema,
  definePackage,
  modeAnswer,
  modeSchema,
  operationAnswer,
  operationSchema,
  packageAnswer,
  packageIdSchema,
  packageSchema,
  priceOperation,
  priceSchema,
} from './catalogue-schemas.ts';
import { errorOfRejection } from './errors.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { minRevisionOf, notYetVisible, waitUntilVisible } from './revisions.ts';
import { runCatalogueCommand } from './run-command.ts';
import { errorSchema, idempotencyKeySchema } from './schemas.ts';

const config = { access: { kind: 'either', roles: ['admin'], scope: 'catalogue:write' } } as const;
const tags = ['catalogue'];

const minRevisionQuery = z.object({ minRevision: z.string().optional() });
const keyed = { idempotencyKey: idempotencyKeySchema.nullish() };
const operationParams = z.object({ app: appSchema, operation: operationSchema });
const packageParams = z.object({ id: packageIdSchema });
const appParams = z.object({ app: appSchema });

/** What operations cost, what is sold, and how apps are treated: for whoever keeps the catalogue, and the shop for all. */
export const catalogueRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);
  addOperations(routes, parts);
  addOperationChanges(routes, parts);
  addPackages(routes, parts);
  addPackageChanges(routes, parts);
  addModes(routes, parts);
  addShop(routes, parts);
};

type App = ReturnType<typeof typed>;

function addOperations(routes: App, parts: ApiParts): void {
  routes.get(
    '/catalogue/operations',
    { config, schema: { tags, querystring: minRevisionQuery, response: { 200: z.array(operationAnswer), '4xx': errorSchema } } },
    async (request) => (await catalogueFor(parts, request)).operations.map(operationOf),
  );

  routes.get(
    '/catalogue/operations/:app/:operation',
    {
      config,
      schema: {
        tags,
        params: operationParams,
        querystring: minRevisionQuery,
        response: { 200: operationAnswer, '4xx': errorSchema },
      },
    },
    async (request) => {
      const { app, operation } = request.params;
      const found = priceOf(await catalogueFor(parts, request), app, operation);
      if (found === undefined) throw errorOfRejection({ code: 'operation_not_found', app, operation });
      return operationOf(found);
    },
  );
}

function addOperationChanges(routes: App, { catalogueCommands }: ApiParts): void {
  routes.put(
    '/catalogue/operations/:app/:operation',
    {
      config,
      schema: {
        tags,
        params: operationParams,
        body: priceSchema.extend(keyed),
        response: { 200: operationAnswer, '4xx': errorSchema },
      },
    },
    async (request, reply) => {
      const { app, operation } = request.params;
      const command = priceOperation(app, operation, request.body);
      const outcome = await runCatalogueCommand(catalogueCommands, { request, reply }, command);
      const priced = outcome.kind === 'unchanged' ? priceOf(outcome.state, app, operation) : undefined;
      if (priced !== undefined) return operationOf(priced);
      if (outcome.event?.type !== 'OperationPriced') throw new Error('a price answers with a price');
      return operationOf({ ...outcome.event.data, revision: outcome.event.revision });
    },
  );

  routes.delete(
    '/catalogue/operations/:app/:operation',
    {
      config,
      schema: {
        tags,
        params: operationParams,
        response: { 200: operationParams.extend({ success: z.literal(true) }), '4xx': errorSchema },
      },
    },
    async (request, reply) => {
      const { app, operation } = request.params;
      await runCatalogueCommand(catalogueCommands, { request, reply }, { type: 'RetireOperation', app, operation });
      return { success: true as const, app, operation };
    },
  );
}

function addPackages(routes: App, parts: ApiParts): void {
  routes.get(
    '/catalogue/packages',
    {
      config,
      schema: {
        tags,
        description: 'Retired ones too.',
        querystring: minRevisionQuery,
        response: { 200: z.array(packageAnswer), '4xx': errorSchema },
      },
    },
    async (request) => {
      const { packages } = await catalogueFor(parts, request);
      // The sort keeps the order by id among those of one place.
      return packages.toSorted((a, b) => a.sortOrder - b.sortOrder).map(packageOf);
    },
  );

  routes.get(
    '/catalogue/packages/:id',
    {
      config,
      schema: {
        tags,
        params: packageParams,
        querystring: minRevisionQuery,
        response: { 200: packageAnswer, '4xx': errorSchema },
      },
    },
    async (request) => {
      const found = findPackage(await catalogueFor(parts, request), request.params.id);
      if (found === undefined) throw errorOfRejection({ code: 'package_not_found' });
      return packageOf(found);
    },
  );
}

function addPackageChanges(routes: App, { catalogueCommands }: ApiParts): void {
  routes.put(
    '/catalogue/packages/:id',
    {
      config,
      schema: {
        tags,
        params: packageParams,
        body: packageSchema.extend(keyed),
        response: { 200: packageAnswer, '4xx': errorSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const outcome = await runCatalogueCommand(catalogueCommands, { request, reply }, definePackage(id, request.body));
      const found = outcome.kind === 'unchanged' ? findPackage(outcome.state, id) : undefined;
      if (found !== undefined) return packageOf(found);
      if (outcome.event?.type !== 'PackageDefined') throw new Error('a package answers with a package');
      return packageOf({ ...outcome.event.data, active: true });
    },
  );

  routes.delete(
    '/catalogue/packages/:id',
    {
      config,
      schema: {
        tags,
        params: packageParams,
        response: { 200: packageParams.extend({ success: z.literal(true) }), '4xx': errorSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      await runCatalogueCommand(catalogueCommands, { request, reply }, { type: 'RetirePackage', id });
      return { success: true as const, id };
    },
  );
}

function addModes(routes: App, parts: ApiParts): void {
  routes.get(
    '/catalogue/apps/:app/mode',
    {
      config,
      schema: { tags, params: appParams, querystring: minRevisionQuery, response: { 200: modeAnswer, '4xx': errorSchema } },
    },
    async (request) => {
      const { app } = request.params;
      return { app, mode: modeOf(await catalogueFor(parts, request), app) };
    },
  );

  routes.put(
    '/catalogue/apps/:app/mode',
    {
      config,
      schema: {
        tags,
        description: '`observe`: the app is never refused, what is not covered is only recorded.',
        params: appParams,
        body: z.object({ mode: modeSchema, ...keyed }),
        response: { 200: modeAnswer, '4xx': errorSchema },
      },
    },
    async (request, reply) => {
      const { app } = request.params;
      const { mode } = request.body;
      await runCatalogueCommand(parts.catalogueCommands, { request, reply }, { type: 'SetAppMode', app, mode });
      return { app, mode };
    },
  );
}

function addShop(routes: App, { db }: ApiParts): void {
  routes.get(
    '/credits/packages',
    {
      config: { access: { kind: 'public' } },
      schema: {
        tags: ['credits'],
        description: 'What is sold, in the order in which it is shown.',
        querystring: minRevisionQuery,
        response: { 200: z.array(packageAnswer), '4xx': errorSchema },
      },
    },
    async (request) => {
      const seen = minRevisionOf(request, CATALOGUE_STREAM);
      return reading(async () => {
        await waitUntilVisible(db, seen);
        return (await listPackages(db)).map(packageOf);
      });
    },
  );
}

/** The catalogue, at least as new as the request asks for. Throws 409 where nothing that new is written, and 503. */
async function catalogueFor({ catalogue }: ApiParts, request: FastifyRequest): Promise<Catalogue> {
  for (const [, revision] of minRevisionOf(request, CATALOGUE_STREAM)) {
    if (revision <= catalogue.revision) continue;
    await catalogue.refresh();
    if (revision > catalogue.revision) throw notYetVisible();
  }
  return catalogue.current();
}

function operationOf({ app, operation, cost, per, unit, free, revision }: PricedOperation) {
  return { app, operation, cost: creditsFromMicro(cost), per, unit, free, revision };
}

function packageOf(sold: Omit<SoldPackage, 'revision'>) {
  const { id, name, description, credits, priceEuroCents, stripePriceId, active, sortOrder, metadata } = sold;
  const price = { credits: creditsFromMicro(credits), priceEuroCents, stripePriceId };
  return { id, name, description, ...price, active, sortOrder, metadata };
}

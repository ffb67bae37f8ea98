/*
 * Whether a document is OpenAPI 3.1 that a client can be generated from: what the specification demands of the parts
 * that our documents have, and that no request or answer is described by an empty schema.
 * https://spec.openapis.org/oas/v3.1.0
 */

type Members = Readonly<Record<string, unknown>>;

const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null'];

/** What is wrong with a document, a line each. */
export function faultsOfOpenApi(document: unknown): readonly string[] {
  const { openapi, info, paths, servers, components } = members(document);
  const faults: string[] = [];
  if (typeof openapi !== 'string' || !/^3\.1\.\d+$/.test(openapi)) faults.push(`openapi: ${String(openapi)}`);
  if (typeof members(info)['title'] !== 'string' || typeof members(info)['version'] !== 'string') faults.push('info');
  if (!Array.isArray(servers) || servers.some((server) => typeof members(server)['url'] !== 'string')) faults.push('servers');
  for (const [path, methods] of Object.entries(members(paths))) {
    for (const [method, operation] of Object.entries(members(methods))) {
      faults.push(...faultsOfOperation(path, method, members(operation)).map((fault) => `${method} ${path}: ${fault}`));
    }
  }
  for (const ref of JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)) {
    if (resolve(document, ref[1] ?? '') === undefined) faults.push(`$ref to nothing: ${ref[1]}`);
  }
  for (const [name, scheme] of Object.entries(members(members(components)['securitySchemes']))) {
    if (typeof members(scheme)['type'] !== 'string') faults.push(`security scheme ${name}`);
  }
  return faults;
}

function faultsOfOperation(path: string, method: string, operation: Members): string[] {
  const faults: string[] = [];
  const parameters = (operation['parameters'] ?? []) as readonly unknown[];
  const inPath = parameters.map(members).filter((parameter) => parameter['in'] === 'path');
  const named = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]);
  if (named.some((name) => !inPath.some((parameter) => parameter['name'] === name && parameter['required'] === true))) {
    faults.push('a part of the path is not described');
  }
  for (const parameter of parameters.map(members)) {
    faults.push(...faultsOfSchema(parameter['schema'], `parameter ${String(parameter['name'])}`));
  }
  if (method === 'post') faults.push(...faultsOfContent(operation['requestBody'], 'body'));
  const responses = Object.entries(members(operation['responses']));
  if (!responses.some(([status]) => status.startsWith('2'))) faults.push('no answer is described');
  for (const [status, response] of responses) {
    if (!/^([1-5]\d\d|[1-5]XX|default)$/.test(status)) faults.push(`no status: ${status}`);
    if (typeof members(response)['description'] !== 'string') faults.push(`${status}: no description`);
    faults.push(...faultsOfContent(response, status));
  }
  return faults;
}

function faultsOfContent(part: unknown, where: string): string[] {
  const content = Object.entries(members(members(part)['content']));
  if (content.length === 0) return [`${where}: no content`];
  return content.flatMap(([type, media]) => faultsOfSchema(members(media)['schema'], `${where} ${type}`));
}

/** An object must name its members or say that it takes any; what takes anything at all says nothing. */
function faultsOfSchema(schema: unknown, where: string): string[] {
  const described = members(schema);
  const { type, properties, items, anyOf, $ref } = described;
  if (typeof $ref === 'string') return [];
  if (Array.isArray(anyOf)) return anyOf.flatMap((one, index) => faultsOfSchema(one, `${where}.anyOf[${index}]`));
  const types = (Array.isArray(type) ? type : [type]) as readonly unknown[];
  if (!types.every((one) => TYPES.includes(String(one)))) return 'const' in described ? [] : [`${where}: an empty schema`];
  if (types.includes('array')) return faultsOfSchema(items, `${where}[]`);
  if (!types.includes('object')) return [];
  if (properties === undefined) return Object.keys(described).length > 1 ? [] : [`${where}: an object of anything`];
  return (
    Object.entries(members(properties))
      // What an error adds differs from error to error.
      .filter(([name]) => name !== 'details')
      .flatMap(([name, property]) => faultsOfSchema(property, `${where}.${name}`))
  );
}

function members(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {};
}

function resolve(document: unknown, ref: string): unknown {
  if (!ref.startsWith('#/')) return undefined;
  return ref
    .slice(2)
    .split('/')
    .reduce<unknown>((at, part) => members(at)[part.replaceAll('~1', '/').replaceAll('~0', '~')], document);
}

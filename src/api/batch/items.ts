import type { z } from 'zod';
import type { Json } from '../../events/canonical.ts';
import { type Caller, lackOfScope } from '../access.ts';
import type { Action, Own, Prepared } from '../actions/action.ts';
import { grant } from '../actions/grant.ts';
import { refund } from '../actions/refund.ts';
import { reserve } from '../actions/reserve.ts';
import { commit, release } from '../actions/settle.ts';
import { use } from '../actions/use.ts';
import { invalid } from '../errors.ts';
import type { ApiParts } from '../parts.ts';

const ACTIONS = { use, reserve, commit, release, refund, grant } as const;

/** What a command of a batch may be. */
export type ItemType = keyof typeof ACTIONS;
export const ITEM_TYPES = Object.keys(ACTIONS) as [ItemType, ...ItemType[]];

/** A command of a batch as supplied: its type, and the body of the route that it stands for. */
export type Item = { readonly type: ItemType; readonly [field: string]: unknown };

/** A command of a batch, ready to run, and how its outcome is told. */
export type Ready = Prepared & { readonly answer: Action<unknown>['answer'] };

/**
 * Checks a command of a batch as its own route would, its scope included. Rejects with what the caller is told. Paths of
 * faults begin with `path`; `own` names the command among all of its caller's.
 */
export async function prepareItem(parts: ApiParts, caller: Caller, item: Item, path: string, own: Own): Promise<Ready> {
  // Each action's own types hold within it; the batch only carries them past each other.
  const action = ACTIONS[item.type] as unknown as Action<unknown>;
  const parsed = action.body.safeParse(bodyOf(item));
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => faultOf(issue, path)));
  const lack = lackOfScope(caller, action.scope(parsed.data));
  if (lack !== undefined) throw lack;
  return { ...(await action.prepare(parts, caller, parsed.data, own)), answer: action.answer };
}

/** A command's body, as its own route would get it. */
function bodyOf(item: Item): object {
  const { type: _, ...body } = item;
  return body;
}

/** A command's body without its key, as it was supplied: what a repeat must be the same in. */
export function restOf(item: Item): Json {
  const { type: _, idempotencyKey: __, ...rest } = item;
  return rest as Json;
}

function faultOf({ path, message }: z.core.$ZodIssue, prefix: string) {
  return { path: [prefix, ...path.map(String)].join('.'), message };
}

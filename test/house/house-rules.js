/*
 * What the linter has no rule for.
 *
 * no-division: a division makes a float, and money is never one. `creditsFromMicro` in src/events/amounts.ts is the one
 * division of the ledger; shares are cut in bigint or with `%`.
 *
 * short-functions: a function fits a screen. What `describe` is given is a heading with functions below it, and not
 * counted.
 */

const LINES_AT_MOST = 70;

const division = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const check = (node) => {
      if (node.operator === '/' || node.operator === '/=') {
        context.report({ node, message: 'A division makes a float: amounts are divided in src/events/amounts.ts alone.' });
      }
    };
    return { BinaryExpression: check, AssignmentExpression: check };
  },
};

const shortFunctions = {
  meta: { type: 'suggestion', schema: [] },
  create(context) {
    const check = (node) => {
      const lines = node.loc.end.line - node.loc.start.line + 1;
      if (lines > LINES_AT_MOST && !isDescribed(node)) {
        context.report({ node, message: `The function has ${lines} lines: ${LINES_AT_MOST} at most.` });
      }
    };
    return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
  },
};

/** Whether a function is what describe(), in any of its forms, is given. */
function isDescribed(node) {
  let called = node.parent?.type === 'CallExpression' ? node.parent.callee : undefined;
  while (called !== undefined && called.type !== 'Identifier') called = called.callee ?? called.object ?? called.tag;
  return called?.name === 'describe';
}

export default { meta: { name: 'house' }, rules: { 'no-division': division, 'short-functions': shortFunctions } };

/*
 * What the linter has no rule for: a division makes a float, and money is never one. `creditsFromMicro` in
 * src/events/amounts.ts is the one division of the ledger; shares are cut in bigint or with `%`.
 */

const division = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const report = (node) => {
      if (node.operator === '/' || node.operator === '/=') {
        context.report({ node, message: 'A division makes a float: amounts are divided in src/events/amounts.ts alone.' });
      }
    };
    return { BinaryExpression: report, AssignmentExpression: report };
  },
};

export default { meta: { name: 'money' }, rules: { 'no-division': division } };

/** A directive of nginx: its name, its arguments, and what stands in its braces. */
export type Directive = { readonly name: string; readonly args: readonly string[]; readonly inside: readonly Directive[] };

const TOKEN = /#[^\n]*|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([{};])|([^\s{};#"']+)/gy;

/** Reads a configuration as nginx would. Throws where braces or semicolons are missing. */
export function readNginxConfig(text: string): readonly Directive[] {
  const tokens = tokensOf(text);
  let at = 0;
  const block = (isInner: boolean): readonly Directive[] => {
    const directives: Directive[] = [];
    for (let words: string[] = []; ; ) {
      const token = tokens[at++];
      if (token === undefined || token.sign === '}') {
        if (words.length > 0) throw new Error(`"${words.join(' ')}" does not end`);
        if ((token === undefined) === isInner) throw new Error('braces do not match');
        return directives;
      }
      if (token.sign === undefined) {
        words.push(token.word);
        continue;
      }
      const [name, ...args] = words;
      if (name === undefined) throw new Error(`nothing stands before ${token.sign}`);
      directives.push({ name, args, inside: token.sign === '{' ? block(true) : [] });
      words = [];
    }
  };
  return block(false);
}

/** All directives of a name, however deep. */
export function directivesNamed(name: string, among: readonly Directive[]): readonly Directive[] {
  return among.flatMap((one) => [...(one.name === name ? [one] : []), ...directivesNamed(name, one.inside)]);
}

type Token = { readonly sign: string; readonly word?: never } | { readonly word: string; readonly sign?: undefined };

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let rest = 0; rest < text.length; ) {
    const space = /\s*/y;
    space.lastIndex = rest;
    rest += space.exec(text)?.[0].length ?? 0;
    if (rest === text.length) break;
    TOKEN.lastIndex = rest;
    const found = TOKEN.exec(text);
    if (found === null) throw new Error(`not understood: ${text.slice(rest, rest + 40)}`);
    rest = TOKEN.lastIndex;
    const [whole, double, single, sign, bare] = found;
    if (whole.startsWith('#')) continue;
    tokens.push(sign === undefined ? { word: double ?? single ?? bare ?? '' } : { sign });
  }
  return tokens;
}

// The text of a condition -> a tree: the language of `where` in specs (composer/spec/parser.py), without functions and
// items of lists.

export const COMPARISONS = ["<", "<=", ">", ">=", "==", "!=", "in", "not in"];
const CONSTANTS = new Map(
  Object.entries({ true: true, True: true, false: false, False: false, null: null, None: null }),
);
const MISTAKES = {
  "**": "multiply",
  "=": "compare with ==",
  "&&": "write and",
  "||": "write or",
  "!": "write not",
  "[": "lists stand behind in: op in ['relu', 'gelu']",
};
const MOST_NESTED = 16;
const TOKEN = new RegExp(
  [
    String.raw`\s*(?:(?<number>(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?)`,
    `|(?<string>'[^']*'|"[^"]*")`,
    String.raw`|(?<word>(?:not\s+in|and|or|not|in|if|else)(?![A-Za-z0-9_.]))`,
    "|(?<name>[A-Za-z_][A-Za-z0-9_]*)",
    String.raw`|(?<op>\*\*|//|==|!=|<=|>=|&&|\|\||[-+*/%<>()\[\],=!]))`,
  ].join(""),
  "y",
);

/** A mistake in a condition: what is wrong, and where. */
export class WhereError extends Error {
  constructor(message, offset = 0, length = 1) {
    super(message);
    this.offset = offset;
    this.length = length;
  }
}

/** Whether words are meant as a condition: something is compared, or a string is looked for in something. */
export const isCondition = (text) =>
  /^\s*[\w('"[.+-].*?(?:[<>=]|!=|\bin\s*[[("']|['"\])]\s*(?:not\s+)?in\b)/.test(text);

/**
 * @typedef {{kind: string, text: string, offset: number, length: number}} Token
 * @typedef {{kind: string, word: Token, value?: any, children: Tree[], words?: Token[]}} Tree
 */

function tokensOf(text) {
  const found = [];
  const end = text.trimEnd().length;
  let position = 0;
  while (position < end) {
    TOKEN.lastIndex = position;
    const match = TOKEN.exec(text);
    if (!match) {
      const start = position + (text.slice(position).length - text.slice(position).trimStart().length);
      const help = `'"`.includes(text[start]) ? ": the string is never closed" : "";
      throw new WhereError(`${text[start]} is not part of the language${help}`, start);
    }
    const [kind, word] = Object.entries(match.groups).find(([, one]) => one !== undefined);
    position = TOKEN.lastIndex;
    found.push({
      kind,
      text: word.replace(/\s+/g, kind === "word" ? " " : "$&"),
      offset: position - word.length,
      length: word.length,
    });
  }
  return [...found, { kind: "end", text: "", offset: end, length: 1 }];
}

/** The tree of a condition, by Python's precedence. @returns {Tree} */
export function parse(text) {
  const tokens = tokensOf(text);
  let position = 0;
  let nesting = 0;

  const here = () => tokens[position];

  function take(...texts) {
    const token = here();
    if (!["op", "word"].includes(token.kind) || !texts.includes(token.text)) return null;
    position += 1;
    return token;
  }

  function unexpected(wanted) {
    const { kind, text: word, offset, length } = here();
    const help = MISTAKES[word] ? `: ${MISTAKES[word]}` : "";
    return new WhereError(`expected ${wanted}, found ${kind === "end" ? "the end" : word}${help}`, offset, length);
  }

  function need(symbol) {
    if (!take(symbol)) throw unexpected(symbol);
  }

  function conditional() {
    nesting += 1;
    if (nesting > MOST_NESTED) throw new WhereError(`this nests deeper than ${MOST_NESTED}`, here().offset);
    const word = here();
    const parts = [];
    let last = either();
    while (take("if")) {
      const condition = either();
      need("else");
      parts.push(condition, last);
      last = either();
    }
    nesting -= 1;
    return parts.length ? { kind: "if", word, children: [...parts, last] } : last;
  }

  function chain(word, operand) {
    const children = [operand()];
    while (take(word)) children.push(operand());
    return children.length > 1 ? { kind: word, word: children[0].word, children } : children[0];
  }

  const either = () => chain("or", both);
  const both = () => chain("and", negation);

  function prefixed(kind, signs, operand, turns) {
    const word = here();
    let [count, turned] = [0, 0];
    for (let sign = take(...signs); sign; sign = take(...signs)) {
      count += 1;
      if (sign.text === turns) turned += 1;
    }
    const child = operand();
    return count ? { kind, word, value: turned % 2 === 1, children: [child] } : child;
  }

  const negation = () => prefixed("not", ["not"], comparison, "not");
  const signed = () => prefixed("sign", ["-", "+"], atom, "-");

  function operation(kind, symbols, operand) {
    const [children, words] = [[operand()], []];
    for (let word = take(...symbols); word; word = take(...symbols)) {
      words.push(word);
      children.push(operand());
    }
    return words.length ? { kind, word: words[0], children, words } : children[0];
  }

  const comparison = () => operation("compare", COMPARISONS, sum);
  const sum = () => operation("arithmetic", ["+", "-"], product);
  const product = () => operation("arithmetic", ["*", "/", "//", "%"], signed);

  function atom() {
    const token = here();
    if (take("(")) {
      const tree = conditional();
      need(")");
      return tree;
    }
    if (take("[")) return { kind: "list", word: token, children: items() };
    if (!["number", "string", "name"].includes(token.kind)) throw unexpected("a value");
    position += 1;
    const constant = (value) => ({ kind: "constant", word: token, value, children: [] });
    if (token.kind === "number") return constant(Number(token.text));
    if (token.kind === "string") return constant(token.text.slice(1, -1));
    if (CONSTANTS.has(token.text)) return constant(CONSTANTS.get(token.text));
    return { kind: "name", word: token, children: [] };
  }

  function items() {
    const found = [];
    while (!take("]")) {
      found.push(conditional());
      if (!take(",")) {
        need("]");
        break;
      }
    }
    return found;
  }

  if (tokens.length === 1) throw new WhereError("the condition is empty");
  const tree = conditional();
  if (here().kind !== "end") throw unexpected("an operator or the end");
  return tree;
}

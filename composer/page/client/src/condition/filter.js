// Nodes for which a condition holds.

import { holds } from "./evaluate.js";
import { namedFacts } from "./names.js";
import { parse, WhereError } from "./where.js";

/** @typedef {import("../store.js").Store} Store */

/** More words than these are not listed. */
const MOST_NAMED = 30;
// Facts by name of a network: the same at every key that is typed.
const known = new WeakMap();

/**
 * Paths of the nodes for which a condition holds, in running order. A node for which it makes no sense, because it
 * compares a number with words, is none of them.
 *
 * @param {Store} store
 * @returns {string[]}
 */
export function filtered(store, text) {
  const tree = parse(text);
  const network = store.network();
  if (!known.has(network)) known.set(network, namedFacts(store));
  const { names, nodes } = known.get(network);
  const unknown = namesIn(tree).find(({ text: name }) => !names.has(name));
  if (unknown)
    throw new WhereError(
      `no node has a ${unknown.text}${nearest(unknown.text, names)}`,
      unknown.offset,
      unknown.length,
    );
  const found = [];
  let [wrong, judged] = [null, 0];
  for (const [path, values] of nodes) {
    const ask = (name) => (Object.hasOwn(values, name) ? values[name] : names.has(name) ? null : undefined);
    try {
      if (holds(tree, ask)) found.push(path);
      judged += 1;
    } catch (error) {
      if (!(error instanceof WhereError)) throw error;
      wrong ??= error;
    }
  }
  if (wrong && !judged) throw wrong;
  if (!found.length) lookForUnknown(tree, [...nodes.values()]);
  return found;
}

/** Of a word that no node has under a name, as in kind == "convolution", says which words there are. */
function lookForUnknown(tree, nodes) {
  for (const child of tree.children) lookForUnknown(child, nodes);
  if (tree.kind !== "compare" || tree.words.length !== 1 || tree.words[0].text !== "==") return;
  const name = tree.children.find(({ kind }) => kind === "name");
  const string = tree.children.find(({ kind, value }) => kind === "constant" && typeof value === "string");
  if (!name || !string) return;
  const known = [...new Set(nodes.map((values) => values[name.word.text]))].filter((one) => typeof one === "string");
  if (!known.length || known.length > MOST_NAMED || known.includes(string.value)) return;
  const { text, offset, length } = string.word;
  throw new WhereError(
    `no node has the ${name.word.text} ${text}; there is ${known.sort().join(", ")}`,
    offset,
    length,
  );
}

/** The words of a condition that are names. @param {import("./where.js").Tree} tree */
function namesIn({ kind, word, children }) {
  return kind === "name" ? [word] : children.flatMap(namesIn);
}

/** For a name that there is not, those that begin alike. */
function nearest(word, names) {
  const near = [...names].filter((name) => name.startsWith(word.slice(0, 3).toLowerCase())).sort();
  return `; there is ${near.length ? near.slice(0, 4).join(", ") : "op, kind, name, stage, channels …"}`;
}

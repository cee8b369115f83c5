// The value of a condition for a node; as composer/spec/evaluate.py.

import { WhereError } from "./where.js";

/** @typedef {import("./where.js").Tree} Tree */

const MOST = 1e15;
const ORDER = {
  "<": (one, other) => one < other,
  "<=": (one, other) => one <= other,
  ">": (one, other) => one > other,
  ">=": (one, other) => one >= other,
};
const ARITHMETIC = {
  "+": (one, other) => one + other,
  "-": (one, other) => one - other,
  "*": (one, other) => one * other,
  "/": (one, other) => one / other,
  "//": (one, other) => Math.floor(one / other),
  "%": (one, other) => one - other * Math.floor(one / other),
};

const show = (value) => (typeof value === "string" ? `'${value}'` : JSON.stringify(value));
const fail = (message, { offset, length }) => new WhereError(message, offset, length);
const isNumber = (value) => typeof value === "number";

/**
 * Whether a condition holds.
 *
 * @param {Tree} tree
 * @param {(name: string) => any} ask  undefined for a name that there is not
 */
export function holds(tree, ask) {
  const value = evaluate(tree, ask);
  if (value !== null && typeof value !== "boolean") throw fail(`${show(value)} is neither true nor false`, tree.word);
  return value === true;
}

function evaluate(tree, ask) {
  const { kind, word, children } = tree;
  if (kind === "constant") return tree.value;
  if (kind === "name") return lookUp(word, ask);
  if (kind === "and") return children.every((child) => holds(child, ask));
  if (kind === "or") return children.some((child) => holds(child, ask));
  if (kind === "not") return holds(children[0], ask) !== tree.value;
  if (kind === "if") {
    let at = 0;
    while (at < children.length - 1 && !holds(children[at], ask)) at += 2;
    return evaluate(children[Math.min(at + 1, children.length - 1)], ask);
  }
  const values = children.map((child) => evaluate(child, ask));
  if (kind === "list") return values;
  if (kind === "sign") return signed(tree, values[0]);
  if (kind === "compare") return tree.words.every((symbol, at) => compare(symbol, values[at], values[at + 1]));
  return values.slice(1).reduce((left, right, at) => calculate(tree.words[at], left, right), values[0]);
}

function lookUp(word, ask) {
  const value = ask(word.text);
  if (value === undefined) throw fail(`no node has a ${word.text}`, word);
  return value;
}

function compare(word, left, right) {
  const symbol = word.text;
  if (symbol === "==" || symbol === "!=") return isEqual(left, right) === (symbol === "==");
  if (symbol === "in" || symbol === "not in") return contains(word, left, right) === (symbol === "in");
  // No comparison with what a node lacks is true.
  if (left === null || right === null) return false;
  const isOrdered = [left, right].every(isNumber) || [left, right].every((one) => typeof one === "string");
  if (!isOrdered) throw fail(`cannot order ${show(left)} and ${show(right)}`, word);
  return ORDER[symbol](left, right);
}

function contains(word, left, right) {
  if (typeof left === "string" && typeof right === "string") return right.includes(left);
  if (!Array.isArray(right)) throw fail(`${word.text} looks into a list or a string, not into ${show(right)}`, word);
  return right.some((one) => isEqual(left, one));
}

function isEqual(one, other) {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other;
  return one.length === other.length && one.every((value, at) => isEqual(value, other[at]));
}

function signed({ word, value: isNegative }, value) {
  if (!isNumber(value)) throw fail(`${word.text} needs a number, found ${show(value)}`, word);
  return isNegative ? -value : value;
}

function calculate(word, left, right) {
  const { text } = word;
  if (text === "+" && typeof left === "string" && typeof right === "string") return left + right;
  if (text === "+" && Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
  if (!isNumber(left) || !isNumber(right))
    throw fail(`${text} needs two numbers, found ${show(left)} and ${show(right)}`, word);
  if (right === 0 && ["/", "//", "%"].includes(text)) throw fail("division by zero", word);
  const value = ARITHMETIC[text](left, right);
  if (Math.abs(value) > MOST) throw fail("the result is too large", word);
  return value;
}

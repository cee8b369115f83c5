// Equations, from the trees that composer/mathml.py writes.

import { html } from "./dom.js";

/** @typedef {string|any[]} Tree  a name and what it holds: `["mi", "x"]` */

const MATHML = "http://www.w3.org/1998/Math/MathML";
/** A formula may go on in a new line in front of these, where they stand in no bracket; a long one before = too. */
const BREAKS = new Set(["+", "−", "⊙", "·"]);
const LONG = 36;

/** A paragraph for each line of equations. @param {Tree[]} lines */
export function equationLines(lines) {
  const paragraphs = lines.map(([, ...inside]) => html("p", {}, ...tied(inside.flatMap(wordsOf))));
  return html("div", { class: "equation", tabindex: "0", role: "group", "aria-label": "Equations" }, ...paragraphs);
}

const lengthOf = (tree) =>
  typeof tree === "string" ? tree.length : tree.slice(1).reduce((sum, one) => sum + lengthOf(one), 0);

/** Words, code, and formulas in parts. @param {Tree} tree @returns {(Node|string)[]} */
function wordsOf(tree) {
  if (typeof tree === "string") return [tree];
  const [name, ...inside] = tree;
  if (name !== "math") return [html("code", {}, ...inside)];
  const isLong = lengthOf(tree) > LONG;
  const parts = [[]];
  for (const one of inside) {
    const mayBreak = one[0] === "mo" && (BREAKS.has(one[1]) || (isLong && one[1] === "="));
    if (mayBreak && parts.at(-1).length) parts.push([]);
    parts.at(-1).push(one);
  }
  return parts.map((part) => {
    const math = made(["math", ...part]);
    // Alone in front, a sign would belong to what follows it.
    if (part[0][0] === "mo" && part !== parts[0]) math.firstElementChild.setAttribute("form", "infix");
    return math;
  });
}

/** No line begins with a comma: it stays with the formula before it. @param {(Node|string)[]} found */
function tied(found) {
  return found.map((one, at) => {
    const next = found[at + 1];
    const mark = typeof one !== "string" && typeof next === "string" ? next.match(/^[,;:.)]/)?.[0] : undefined;
    const rest = typeof one === "string" && typeof found[at - 1] === "object" ? one.replace(/^[,;:.)]/, "") : one;
    return mark ? html("span", { class: "tied" }, one, mark) : rest;
  });
}

/** @param {Tree} tree @returns {any} */
function made(tree) {
  if (typeof tree === "string") return tree;
  const [name, ...inside] = tree;
  const element = document.createElementNS(MATHML, name);
  element.append(...inside.map(made));
  return element;
}

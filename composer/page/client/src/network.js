// The boxes of a network by path: which one shows a node, and what is around it.

import { withInsides } from "./insides.js";

/** @typedef {import("./types.js").BoxData} BoxData */

/**
 * @typedef {object} Entry
 * @property {BoxData} box
 * @property {import("./types.js").ViewData} view  the one that the box stands in
 * @property {string|null} parent  path of the box around it
 * @property {number} level  counted from 1
 * @property {BoxData|null} within  the operation of which it is a step
 */

/**
 * @param {import("./types.js").ViewData} view  of a whole network
 * @param {import("./types.js").InsideData[]} insides
 */
export function indexNetwork(view, insides) {
  const root = withInsides(view, insides);
  /** @type {Map<string, Entry>} */
  const entries = new Map();
  const walk = (view, parent, level, within) => {
    for (const box of view.boxes) {
      entries.set(box.path, { box, view, parent, level, within });
      if (box.inner) walk(box.inner, box.path, level + 1, box.inside === undefined ? within : box);
    }
  };
  walk(root, null, 1, null);
  return {
    root,
    entries,
    /** The entry of a box, by its own path. */
    entry: (path) => entries.get(path) ?? null,
    /** The box that shows a node. */
    at: (path) => entries.get(path)?.box ?? nearest(root, path),
    /** Paths of the boxes around a box, outermost first. */
    around(path) {
      const found = [];
      for (let at = entries.get(path)?.parent ?? null; at !== null; at = entries.get(at).parent) found.unshift(at);
      return found;
    },
  };
}

/** The innermost box that a path leads to. What is inside copies has boxes once, with the first copy's paths. */
function nearest(root, path) {
  let view = root;
  let wanted = path;
  let found = null;
  while (view) {
    const step = stepInto(view, wanted);
    if (step === null) return found;
    found = step.box;
    view = step.rest === null ? null : found.inner;
    wanted = step.rest;
  }
  return found;
}

/** The box of a view that holds a path, and the path as it is written inside; null when it is the box itself. */
function stepInto(view, path) {
  for (const box of view.boxes) {
    const own = [...(box.copies ?? []), box.path];
    if (own.includes(path)) return { box, rest: null };
    const around = [...(box.inner ? [box.inner.path] : []), ...own].find((one) => path.startsWith(`${one}.`));
    if (around !== undefined) return { box, rest: box.inner ? box.inner.path + path.slice(around.length) : null };
  }
  return null;
}

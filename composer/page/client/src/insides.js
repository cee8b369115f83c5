// What an operation computes, step by step. A page has it once for all operations that compute the same; its paths
// begin in the operation.

/** @typedef {import("./types.js").BoxData} BoxData */
/** @typedef {import("./types.js").InsideData} InsideData */
/** @typedef {import("./types.js").ViewData} ViewData */

/**
 * The view with the insides of its boxes, as if each had its own.
 *
 * @param {ViewData} view
 * @param {InsideData[]} insides
 * @returns {ViewData}
 */
export function withInsides(view, insides) {
  const boxes = view.boxes.map((box) => {
    if (box.inner) return { ...box, inner: withInsides(box.inner, insides) };
    return box.inside === undefined ? box : { ...box, inner: placed(insides[box.inside].view, box.path) };
  });
  return { ...view, boxes };
}

/** A view with its paths behind another path. @returns {ViewData} */
function placed(view, path) {
  const under = (/** @type {string} */ own) => (own ? `${path}.${own}` : path);
  const boxes = view.boxes.map((box) => ({
    ...box,
    path: under(box.path),
    ...(box.copies && { copies: box.copies.map(under) }),
    ...(box.inner && { inner: placed(box.inner, path) }),
  }));
  return { ...view, path: under(view.path), boxes };
}

// Which containers are open: sets of paths, made from sets of paths.

/** @typedef {import("./types.js").ViewData} ViewData */

/** How many boxes may be opened at once. */
export const MOST_BOXES = 600;

/** The set with a container the other way. @param {Set<string>} open */
export function toggled(open, path) {
  const next = new Set(open);
  if (!next.delete(path)) next.add(path);
  return next;
}

/** Whether a box is on the picture: everything around it is open. */
export const isShown = (network, open, path) => network.around(path).every((one) => open.has(one));

/** The innermost box around a path, itself included, that is on the picture. */
export function shownPath(network, open, path) {
  const around = [...network.around(path), path];
  return around.find((one) => !open.has(one)) ?? path;
}

/** How many boxes are on the picture. @param {ViewData} view */
export function countShown(view, open) {
  return view.boxes.reduce(
    (count, box) => count + 1 + (box.inner && open.has(box.path) ? countShown(box.inner, open) : 0),
    0,
  );
}

/**
 * The set with everything open in a container (or in the whole network), level by level, as far as there are not too
 * many boxes then; and whether something stayed closed.
 *
 * @param {(box: any) => boolean} isWanted  which containers
 */
export function openedBelow(network, open, path, isWanted = () => true) {
  const next = new Set(open);
  const start = path === null ? null : network.entry(path).box;
  let count = countShown(network.root, open);
  let level = start ? [start] : network.root.boxes;
  let isStopped = false;
  while (level.length) {
    const below = [];
    for (const box of level) {
      if (!box.inner || !isWanted(box) || (isOperation(box) && box !== start)) continue;
      if (!next.has(box.path)) {
        const more = countShown(box.inner, next);
        if (count + more > MOST_BOXES) {
          isStopped = true;
          continue;
        }
        next.add(box.path);
        count += more;
      }
      below.push(...box.inner.boxes);
    }
    level = below;
  }
  return { open: next, count, isStopped };
}

/** The set with everything closed in a container, and the container itself; or in the whole network. */
export function closedBelow(network, open, path) {
  if (path === null) return new Set();
  const start = network.entry(path).box;
  const inside = new Set([path]);
  const walk = (view) => {
    for (const box of view.boxes) {
      if (!box.inner) continue;
      inside.add(box.path);
      walk(box.inner);
    }
  };
  if (start.inner) walk(start.inner);
  return new Set([...open].filter((one) => !inside.has(one)));
}

/** Whether anything in a container is closed. @param {ViewData} view */
export function hasClosed(view, open) {
  return view.boxes.some(
    (box) => box.inner && !isOperation(box) && (!open.has(box.path) || hasClosed(box.inner, open)),
  );
}

/** Whether a box is a single operation, whose steps are shown only where somebody asks for them. */
const isOperation = (box) => box.inside !== undefined;

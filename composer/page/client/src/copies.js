// Copies that are drawn as one box: which of them a path means, and what the others are called.

/**
 * For each folded box that a path leads through: its copies as they are called along that path, and which it is.
 *
 * @returns {{label: string, paths: string[], index: number, rest: string}[]}
 */
export function copiesAlong(network, path) {
  const box = network.at(path);
  if (box === null) return [];
  const found = [];
  // What is inside copies is drawn with the first copy's names: `drawn` is that beginning, `real` the path's own.
  let drawn = "";
  let real = "";
  for (const one of [...network.around(box.path), box.path].map((step) => network.entry(step).box)) {
    const own = one.copies?.length ? one.copies : [one.path];
    const called = own.map((copy) => real + copy.slice(drawn.length));
    const index = called.findIndex((copy) => path === copy || path.startsWith(`${copy}.`));
    if (index < 0) break;
    if (called.length > 1)
      found.push({ label: one.label, paths: called, index, rest: path.slice(called[index].length) });
    const inside = one.inner ? one.inner.path : own[0];
    drawn = inside;
    real = called[index] + (inside.startsWith(own[0]) ? inside.slice(own[0].length) : "");
  }
  return found;
}

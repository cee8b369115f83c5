// What a difference says of the boxes of the network that is shown.

/** @typedef {import("../types.js").BoxData} BoxData */
/** @typedef {import("../store.js").Store} Store */

/**
 * The kind of change of each box that has one; a box around changes that has none itself is changed.
 *
 * @param {Store} store
 */
export function changedPaths(store) {
  const side = store.state.network === store.data.networks[0].key ? "after" : "before";
  const network = store.network();
  const found = new Map();
  const inside = new Map();
  for (const change of store.data.changes ?? []) {
    const paths = new Set(change[side]);
    for (const path of paths) {
      const box = network.at(path);
      if (box === null) continue;
      // Of copies in one box, some may be as they were.
      const isPart = box.copies?.includes(path) && !box.copies.every((one) => paths.has(one));
      found.set(box.path, isPart ? "changed" : change.kind);
      if (!isPart && ["added", "removed"].includes(change.kind)) spread(box, change.kind, inside);
      for (const around of network.around(box.path)) inside.set(around, inside.get(around) ?? "changed");
    }
  }
  for (const { box } of side === "after" ? network.entries.values() : [])
    if (box.look === "ghost") {
      found.set(box.path, "removed");
      for (const around of network.around(box.path)) inside.set(around, inside.get(around) ?? "changed");
    }
  return new Map([...inside, ...found]);
}

/** All that is in something new is new. @param {BoxData} box */
function spread(box, kind, found) {
  for (const one of box.inner?.boxes ?? []) {
    found.set(one.path, kind);
    spread(one, kind, found);
  }
}

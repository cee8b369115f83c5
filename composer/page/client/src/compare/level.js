// Two drawings that are looked at together: what is in both is level, at the selection or in the middle.

/** @typedef {import("../store.js").Store} Store */

/**
 * @param {{scene: any, store: Store}} one
 * @param {{scene: any, store: Store}} other
 * @param {Store} store
 */
export function linkViews(one, other, store) {
  const isDown = store.data.direction === "TB";
  const ways = new Map([one, other].map((pane) => [pane, null]));
  let isFollowing = false;
  /** How far the other drawing stands beside where it would be level across, so that more of it is seen. */
  let aside = 0;

  for (const [pane, its] of [
    [one, other],
    [other, one],
  ])
    pane.scene.viewport.subscribe((_, isByHand) => follow(pane, its, isByHand));

  /** Moves the other view to where this one is. */
  function follow(pane, its, isByHand) {
    if (isFollowing || !store.state.two || !pane.scene.layout() || !its.scene.layout()) return;
    isFollowing = true;
    its.scene.viewport.set(lookFrom(pane, its), isByHand);
    isFollowing = false;
  }

  function lookFrom(pane, its) {
    const [mine, room, theirs] = [pane.scene.viewport.get(), pane.scene.viewport.room(), its.scene.viewport.room()];
    const { scale } = mine;
    const [start, end] = [pane, its].map(({ scene }) => startOf(scene.layout(), isDown));
    const level = (isDown ? mine.x : mine.y) + (start - end) * scale + apart(room, theirs) / 2;
    const across = level + (pane === one ? aside : -aside);
    const at = anchor(pane, mine, isDown ? room.height : room.width);
    const along = at - wayTo(pane, its)((at - (isDown ? mine.y : mine.x)) / scale) * scale;
    return isDown ? { x: across, y: along, scale } : { x: along, y: across, scale };
  }

  const apart = (room, theirs) => (isDown ? theirs.width - room.width : theirs.height - room.height);

  /** The place on the canvas where both are level: the selection, or where it left the view; without one the middle. */
  function anchor({ scene, store: its }, look, length) {
    const { selected } = its.state;
    const area = selected === null ? null : scene.areaOf(its.box(selected).path);
    if (!area) return length / 2;
    const [from, size, origin] = isDown ? [area.y, area.height, look.y] : [area.x, area.width, look.x];
    return Math.max(0, Math.min(length, origin + (from + size / 2) * look.scale));
  }

  /** Where something of one layout is on the other, along the data. */
  function wayTo(pane, its) {
    const layouts = [pane.scene.layout(), its.scene.layout()];
    const known = ways.get(pane);
    if (known?.layouts.every((layout, at) => layout === layouts[at])) return known.way;
    const way = wayBetween(marksOf(pane, its, isDown));
    ways.set(pane, { layouts, way });
    return way;
  }

  /** Moves the other drawing across to where most of it is seen; it stays so far aside. */
  function settle() {
    if (!store.state.two || !one.scene.layout() || !other.scene.layout()) return;
    aside = 0;
    const look = lookFrom(one, other);
    const clear = other.scene.viewport.clear(look, other.scene.areas());
    aside = isDown ? clear.x - look.x : clear.y - look.y;
    follow(one, other, false);
  }

  return { follow: () => follow(one, other, false), settle };
}

/** Edges of boxes that are in both layouts, here and there. @returns {[number, number][]} */
function marksOf(pane, its, isDown) {
  const there = edgesOf(its.scene.layout(), isDown);
  const { pairs } = pane.store;
  const [here, other] = [pane, its].map(({ store }) => store.state.network);
  // A box for several copies is level with none that is for only some of them.
  const twinOf = (path) => {
    if (path.includes(":")) return path;
    const twin = pairs.boxOf(here, path)?.path;
    return twin !== undefined && pairs.boxOf(other, twin)?.path === path ? twin : null;
  };
  /** @type {[number, number][]} */
  const found = [];
  for (const [path, [start, end]] of edgesOf(pane.scene.layout(), isDown)) {
    const edges = there.get(twinOf(path));
    if (edges) found.push([start, edges[0]], [end, edges[1]]);
  }
  return found.sort(([a, b], [c, d]) => a - c || b - d);
}

/** @returns {Map<string, [number, number]>} */
function edgesOf(layout, isDown, origin = 0, found = new Map()) {
  for (const placed of layout.boxes) {
    const start = origin + (isDown ? placed.y : placed.x);
    found.set(placed.box?.path ?? placed.name, [start, start + (isDown ? placed.height : placed.width)]);
    if (placed.inside) edgesOf(placed.inside, isDown, start, found);
  }
  return found;
}

/**
 * From pairs of places to a way between them that never turns back: what is elsewhere than its neighbours, as a node
 * that was moved, is left out.
 *
 * @param {[number, number][]} marks  sorted
 */
export function wayBetween(marks) {
  const kept = rising(marks);
  if (!kept.length) return (place) => place;
  return (place) => {
    let [low, high] = [0, kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (kept[middle][0] <= place) low = middle + 1;
      else high = middle;
    }
    const [before, after] = [kept[low - 1], kept[low]];
    if (!before || !after) {
      const [here, there] = before ?? after;
      return there + place - here;
    }
    return before[1] + ((place - before[0]) * (after[1] - before[1])) / (after[0] - before[0]);
  };
}

/** The most marks whose second places do not fall. */
function rising(marks) {
  const [tops, lengths] = [[], []];
  for (const [, place] of marks) {
    let [low, high] = [0, tops.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle] <= place) low = middle + 1;
      else high = middle;
    }
    tops[low] = place;
    lengths.push(low + 1);
  }
  const found = [];
  let wanted = tops.length;
  let most = Infinity;
  for (let at = marks.length - 1; at >= 0; at -= 1) {
    if (lengths[at] !== wanted || marks[at][1] > most) continue;
    found.unshift(marks[at]);
    most = marks[at][1];
    wanted -= 1;
  }
  return found;
}

/** The middle of what data comes to first, across. */
function startOf({ boxes: [first] }, isDown) {
  if (!first) return 0;
  return isDown ? first.x + first.width / 2 : first.y + first.height / 2;
}

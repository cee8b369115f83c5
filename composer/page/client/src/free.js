// Where a canvas is free of what lies over it, and how the drawing moves there.

/** @typedef {{x: number, y: number, width: number, height: number}} Area */
/** @typedef {import("./viewport.js").Look} Look */

/** Between an area and the edge of what it is moved into: what is best, and the least. */
const [MARGIN, NARROWEST] = [48, 12];
/** How many places are tried along an axis. */
const TRIED = 16;

/** The rectangles of a room that nothing covers. @param {{width: number, height: number}} room @param {Area[]} covers */
function freeOf({ width, height }, covers) {
  const xs = edges(width, covers, "x", "width");
  const ys = edges(height, covers, "y", "height");
  const spans = (/** @type {number[]} */ all) =>
    all.flatMap((from, at) => all.slice(at + 1).map((to) => [from, to - from]));
  return spans(xs)
    .flatMap(([x, width]) => spans(ys).map(([y, height]) => ({ x, y, width, height })))
    .filter((one) => !covers.some((cover) => meets(one, cover)));
}

/** Where rooms may begin and end. */
function edges(length, covers, start, size) {
  const all = covers.flatMap((one) => [one[start], one[start] + one[size]]);
  return [...new Set([0, length, ...all.filter((one) => one > 0 && one < length)])].sort((one, other) => one - other);
}

const meets = (one, other) =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

/** An area of the drawing, as it is on the canvas. @param {Look} look */
const seenAt = ({ x, y, scale }, area) => ({
  x: x + area.x * scale,
  y: y + area.y * scale,
  width: area.width * scale,
  height: area.height * scale,
});

/** Whether an area is seen whole: nothing covers it, and it does not leave the room. @param {Look} look */
export function isClear(look, area, room, covers) {
  const seen = seenAt(look, area);
  const isInside =
    seen.x >= 0 && seen.y >= 0 && seen.x + seen.width <= room.width && seen.y + seen.height <= room.height;
  return isInside && !covers.some((one) => meets(seen, one));
}

/**
 * The look, nearest to another, at which as much as can be of an area is in one free part of the room; its beginning
 * where it is longer.
 *
 * @param {Look} look
 * @param {Area} area
 * @param {boolean} isWhole  whether all that can be seen of a longer one should be, and not only its beginning
 * @returns {Look}
 */
export function nearest(look, area, room, covers, isWhole) {
  let best = { look, shown: -1, way: Infinity };
  for (const part of freeOf(room, covers)) {
    const across = along(look.x, area.x * look.scale, area.width * look.scale, part.x, part.width, isWhole);
    const down = along(look.y, area.y * look.scale, area.height * look.scale, part.y, part.height, isWhole);
    const shown = Math.round(across.shown) * Math.round(down.shown);
    const way = Math.abs(across.origin - look.x) + Math.abs(down.origin - look.y);
    if (shown > best.shown || (shown === best.shown && way < best.way))
      best = { look: { x: across.origin, y: down.origin, scale: look.scale }, shown, way };
  }
  return best.look;
}

/** Where an axis' origin must be for a stretch to be in a part of the room, and how much of it is seen there. */
function along(origin, start, length, from, space, isWhole) {
  const margin = Math.max(NARROWEST, Math.min(MARGIN, space / 6, (space - length) / 2));
  const [first, last] = [from + margin - start, from + space - margin - start - length];
  const shown = Math.max(0, Math.min(length, space - 2 * margin));
  if (first <= last) return { origin: Math.max(first, Math.min(last, origin)), shown };
  const isBegun = !isWhole && origin >= first && origin + start < from + space / 2;
  return { origin: isBegun ? origin : first, shown };
}

/**
 * The look, near to another, at which the first area and as many others as can be are seen whole.
 *
 * @param {Look} look
 * @param {Area[]} areas
 * @param {[number, number][]} ranges  of where the drawing's origin may be, across and down
 * @returns {Look}
 */
export function clearest(look, areas, ranges, room, covers) {
  const [xs, ys] = ranges.map(([least, most], axis) => {
    const steps = Array.from({ length: TRIED + 1 }, (_, at) => least + ((most - least) * at) / TRIED);
    return [axis ? look.y : look.x, ...(most > least ? steps : [])];
  });
  let best = { look, clear: -1, way: Infinity };
  for (const [x, y] of xs.flatMap((x) => ys.map((y) => [x, y]))) {
    const tried = { x, y, scale: look.scale };
    const clear = areas.reduce(
      (sum, one, at) => sum + (isClear(tried, one, room, covers) ? (at ? 1 : areas.length) : 0),
      0,
    );
    const way = Math.abs(x - look.x) + Math.abs(y - look.y);
    if (clear > best.clear || (clear === best.clear && way < best.way)) best = { look: tried, clear, way };
  }
  return best.look;
}

// Boxes that are too small, or too many, to have elements of their own: one shape for all of one look.

import { svg } from "./dom.js";

/** @typedef {{look: string, x: number, y: number, width: number, height: number}} Member */

/** What is closed in a layout, and where. @returns {Member[]} */
export function membersOf({ boxes }, x = 0, y = 0) {
  return boxes.flatMap((placed) => {
    const [left, top] = [x + placed.x, y + placed.y];
    if (placed.inside) return membersOf(placed.inside, left, top);
    return [{ look: lookOf(placed), x: left, y: top, width: placed.width, height: placed.height }];
  });
}

/** The class of a closed box, and of an input or output. */
export const lookOf = ({ box }) => box?.look ?? "k-other";

/**
 * Elements that show boxes; of those that begin in the same cell and are no larger, the first is enough.
 *
 * @param {Member[]} members
 * @param {number} cell  the size of a cell; 0 shows all
 */
export function shapesOf(members, cell = 0) {
  const ways = new Map();
  const taken = new Set();
  for (const { look, x, y, width, height } of members) {
    const [wide, high] = [Math.max(width, cell), Math.max(height, cell)];
    if (cell && high === cell) {
      const at = `${Math.floor(x / cell)} ${Math.floor(y / cell)}`;
      if (taken.has(at)) continue;
      taken.add(at);
    }
    if (!ways.has(look)) ways.set(look, []);
    ways.get(look).push(`M${short(x)} ${short(y)}h${short(wide)}v${short(high)}h${short(-wide)}z`);
  }
  return [...ways].map(([look, way]) => svg("g", { class: look }, svg("path", { class: "box", d: way.join("") })));
}

const short = (number) => Math.round(number * 100) / 100;

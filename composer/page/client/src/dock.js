// What lies over the drawing in the canvas' lower right corner, one above the other: small map, legend, zoom. Where
// there are two panes, what colours mean stands below both and covers neither.

import { html } from "./dom.js";

/** What is so near to it, in pixels, looks covered. */
const AROUND = 6;

/** @param {HTMLElement} canvas @param {{minimap: Element, legend: HTMLElement, zoom: Element}} parts */
export function createDock(canvas, { minimap, legend, zoom }) {
  const element = html("div", { id: "dock" }, minimap, legend, zoom);

  /** What of the canvas is covered now. @returns {import("./free.js").Area[]} */
  function covers() {
    const { left, top } = canvas.getBoundingClientRect();
    return [...element.children]
      .filter((one) => !one.matches(".gone"))
      .map((one) => one.getBoundingClientRect())
      .filter(({ width }) => width > 0)
      .map(({ x, y, width, height }) => ({
        x: x - left - AROUND,
        y: y - top - AROUND,
        width: width + 2 * AROUND,
        height: height + 2 * AROUND,
      }));
  }

  /** Puts the legend where there is room for it. */
  function update({ two }) {
    if (two === !element.contains(legend)) return;
    if (two) canvas.parentElement.append(legend);
    else zoom.before(legend);
  }

  return { element, covers, update };
}

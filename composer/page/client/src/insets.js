// Closed blocks that stand open beside the network, each for all that are like it, as far as there is room for them.

import { svg } from "./dom.js";
import { text } from "./drawing/content.js";
import { createDrawing } from "./drawing/drawing.js";
import { isShown } from "./open.js";

/** @typedef {import("./store.js").Store} Store */

// As in composer/page/render.py, which leaves room for them.
const GAP = 48;
const BETWEEN = 32;
const MARGIN = 24;
const CAPTION = 10;

/**
 * @param {SVGGElement} world
 * @param {Store} store
 * @param {(view: import("./types.js").ViewData) => any} layOut  a container by itself, with all in it closed
 */
export function createInsets(world, store, layOut) {
  // Those who do not see it find the same boxes in the tree.
  const group = svg("g", { class: "insets", "aria-hidden": "true" });
  const captions = svg("g");
  const isDown = store.data.direction === "TB";
  group.append(captions);
  world.append(group);
  const drawing = createDrawing(group, isDown, "inset");
  let placed = [];
  const insets = new Map(store.data.networks.map(({ key, insets }) => [key, insets]));

  /** Draws what fits on a canvas of this size beside a network, or below it if data runs to the right: the size of both. */
  function draw(layout, room) {
    const boxes = [];
    const said = [];
    let { width, height } = layout;
    const most = (isDown ? room.width : room.height) - 2 * MARGIN;
    let at = GAP + (isDown ? width : height);
    for (const [path, caption] of insets.get(store.state.network)) {
      const network = store.network();
      const found = network.entry(path);
      if (!found?.box.inner || (isShown(network, store.state.open, path) && store.state.open.has(path))) continue;
      const inside = layOut(found.box.inner);
      const length = isDown ? inside.width : inside.height;
      if (at + length > most) break;
      const [x, y] = isDown ? [at, 0] : [0, at];
      const box = { ...found.box, label: path, copies: undefined };
      boxes.push({ item: boxes.length, box, name: "", x, y, width: inside.width, height: inside.height, inside });
      if (caption) said.push(text(caption, x, y - CAPTION, "faint"));
      at += length + BETWEEN;
      width = Math.max(width, x + inside.width);
      height = Math.max(height, y + inside.height);
    }
    placed = boxes;
    drawing.draw({ boxes, wires: [], labels: [] }, null)(1);
    // Opened and closed is the network itself.
    for (const one of group.querySelectorAll(".toggle")) one.remove();
    captions.replaceChildren(...said);
    return { width, height };
  }

  return { draw, all: drawing.all, placed: () => placed };
}

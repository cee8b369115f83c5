// The whole picture small, with what is seen of it; hidden where all of it is seen.

import { assign, svg } from "./dom.js";

/** @typedef {import("./store.js").Store} Store */

const WIDE = 180;
const HIGH = 190;
const LEAST = 18;
/** Boxes smaller than this would only be grey. */
const SMALLEST = 0.8;

/** @param {any} scene @param {Store} store */
export function createMinimap(scene, store) {
  const { viewport } = scene;
  const boxes = svg("g");
  const seen = svg("rect", { class: "seen", rx: 2 });
  const element = svg("svg", { id: "minimap", class: "over cg", "aria-hidden": "true" }, boxes, seen);
  let scale = 1;
  let [drawn, besides] = [null, null];

  function draw() {
    const layout = scene.layout();
    if (!layout) return;
    const [{ width, height }, beside] = [viewport.content(), scene.insets.placed()];
    if (layout !== drawn || beside !== besides) {
      [drawn, besides] = [layout, beside];
      scale = Math.min(WIDE / width, HIGH / height);
      assign(element, { width: Math.max(LEAST, width * scale), height: Math.max(LEAST, height * scale) });
      boxes.replaceChildren(...miniatures(layout, 0, 0), ...miniatures({ boxes: beside }, 0, 0));
    }
    const { left, top, right, bottom } = viewport.seen();
    const isWhole = left <= 1 && top <= 1 && right >= width - 1 && bottom >= height - 1;
    element.classList.toggle("gone", isWhole);
    const [x, y] = [Math.max(0, left), Math.max(0, top)];
    assign(seen, {
      x: x * scale,
      y: y * scale,
      width: Math.max(4, (Math.min(width, right) - x) * scale),
      height: Math.max(4, (Math.min(height, bottom) - y) * scale),
    });
  }

  function miniatures(layout, x, y) {
    return layout.boxes.flatMap((placed) => {
      const [left, top] = [x + placed.x, y + placed.y];
      if (placed.height * scale < SMALLEST || placed.width * scale < SMALLEST) return [];
      const look = placed.inside ? "frame" : (placed.box?.look ?? "k-other");
      const place = { x: left * scale, y: top * scale, width: placed.width * scale, height: placed.height * scale };
      const own = svg("g", { class: look }, svg("rect", { class: "box", ...place, rx: 1 }));
      return placed.inside ? [own, ...miniatures(placed.inside, left, top)] : [own];
    });
  }

  function goTo(event) {
    const area = element.getBoundingClientRect();
    const look = viewport.get();
    const { width, height } = viewport.room();
    const [x, y] = [(event.clientX - area.left) / scale, (event.clientY - area.top) / scale];
    viewport.pan(width / 2 - x * look.scale - look.x, height / 2 - y * look.scale - look.y);
  }

  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    goTo(event);
    event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId)) goTo(event);
  });
  viewport.subscribe(draw);
  store.subscribe(draw);
  return { element, draw };
}

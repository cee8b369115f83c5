// The whole picture small, with what is seen of it; hidden where all of it is seen.

import { lookOf, membersOf, shapesOf } from "./crowd.js";
import { assign, svg } from "./dom.js";

/** @typedef {import("./store.js").Store} Store */

/** No larger than this, nor than a part of the canvas. */
const [WIDE, HIGH] = [180, 190];
const [PART_WIDE, PART_HIGH] = [1 / 6, 1 / 3];
const LEAST = 18;
/** Boxes smaller than this are shown together. */
const SMALLEST = 0.8;

/** @param {any} scene @param {Store} store */
export function createMinimap(scene, store) {
  const { viewport } = scene;
  const boxes = svg("g");
  const seen = svg("rect", { class: "seen", rx: 2 });
  const element = svg("svg", { id: "minimap", class: "over cg", "aria-hidden": "true" }, boxes, seen);
  /** Across and down: what is very long is shown wider than it is, so that it is more than a line. */
  let [wide, high] = [1, 1];
  let [drawn, besides, most] = [null, null, [0, 0]];

  function draw() {
    const layout = scene.layout();
    if (!layout) return;
    const beside = scene.insets.placed();
    const room = viewport.room();
    const now = [Math.min(WIDE, room.width * PART_WIDE), Math.min(HIGH, room.height * PART_HIGH)];
    if (layout !== drawn || beside !== besides || now.some((one, at) => one !== most[at])) {
      [drawn, besides, most] = [layout, beside, now];
      fill();
    }
    follow();
  }

  function fill() {
    const { width, height } = viewport.content();
    const scale = Math.min(most[0] / width, most[1] / height);
    [wide, high] = [Math.max(scale, LEAST / width), Math.max(scale, LEAST / height)];
    assign(element, { width: width * wide, height: height * high });
    const small = membersOf(drawn).map(shrunk).filter(isSmall);
    const large = [...miniatures(drawn, 0, 0), ...miniatures({ boxes: besides }, 0, 0)];
    boxes.replaceChildren(...shapesOf(small, SMALLEST), ...large);
  }

  /** Shows what of it is seen. */
  function follow() {
    const { width, height } = viewport.content();
    const { left, top, right, bottom } = viewport.seen();
    const isWhole = left <= 1 && top <= 1 && right >= width - 1 && bottom >= height - 1;
    element.classList.toggle("gone", isWhole);
    const [x, y] = [Math.max(0, left), Math.max(0, top)];
    assign(seen, {
      x: x * wide,
      y: y * high,
      width: Math.max(4, (Math.min(width, right) - x) * wide),
      height: Math.max(4, (Math.min(height, bottom) - y) * high),
    });
  }

  const shrunk = (area) => ({
    ...area,
    x: area.x * wide,
    y: area.y * high,
    width: area.width * wide,
    height: area.height * high,
  });
  const isSmall = ({ width, height }) => width < SMALLEST || height < SMALLEST;

  function miniatures(layout, left, top) {
    return layout.boxes.flatMap((placed) => {
      const { x, y, width, height } = shrunk({ ...placed, x: left + placed.x, y: top + placed.y });
      if (isSmall({ width, height })) return [];
      const look = placed.inside ? "frame" : lookOf(placed);
      const own = svg("g", { class: look }, svg("rect", { class: "box", x, y, width, height, rx: 1 }));
      return placed.inside ? [own, ...miniatures(placed.inside, left + placed.x, top + placed.y)] : [own];
    });
  }

  function goTo(event) {
    const area = element.getBoundingClientRect();
    const look = viewport.get();
    const { width, height } = viewport.room();
    const [x, y] = [(event.clientX - area.left) / wide, (event.clientY - area.top) / high];
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

// The wires of one container, kept by their ends.

import { svg } from "../dom.js";
import { text } from "./content.js";
import { between } from "./motion.js";
import { arrowPath, wirePath } from "./paths.js";
import { visible } from "../text.js";

/** @param {SVGGElement} group */
export function createWires(group) {
  let known = new Map();
  let labels = [];
  let drawn = null;
  let isWhole = false;

  /** Draws the wires of a layout; returns what moves them from where they were. */
  function draw(layout, clip) {
    if (layout === drawn && isWhole && !clip) return [];
    const view = layout.view;
    const isNew = drawn === null || drawn.view !== view;
    const moves = [];
    const fresh = [];
    const next = new Map();
    for (const wire of layout.wires) {
      if (clip && isFar(clip, wire.points)) continue;
      const key = `${wire.net} ${wire.target} ${wire.input}`;
      const before = isNew ? undefined : known.get(key);
      const one = before ?? create(layout, wire);
      if (before) known.delete(key);
      else fresh.push(one);
      next.set(key, one);
      if (one.points !== wire.points) moves.push(...moved(one, wire));
    }
    for (const one of known.values()) for (const element of elementsOf(one)) element.remove();
    known = next;
    for (const label of labels) label.remove();
    labels = layout.labels
      .filter(({ x, y }) => !clip || !isFar(clip, [[x, y]]))
      .map(({ shape, x, y, end }) => text(shape, x, y, end ? "label end" : "label"));
    group.append(...labels);
    if (drawn !== null && drawn !== layout) moves.push(fadeIn([...labels, ...fresh.flatMap(elementsOf)]));
    drawn = layout;
    isWhole = !clip;
    return moves;
  }

  function create(layout, wire) {
    const kind = isGhostly(layout.view, wire) ? "ghost-wire " : "";
    const path = svg("path", { class: `${kind}wire` }, svg("title", {}, about(layout, wire)));
    const head = wire.headed ? svg("path", { class: `${kind}head` }) : null;
    const { net, source, target, input, points } = wire;
    const one = { path, head, net, source, target, input, points };
    trace(one, points);
    group.append(...elementsOf(one));
    return one;
  }

  /** Marks the wires at an item, or none. */
  function light(item) {
    for (const one of known.values()) {
      const isLit = item !== null && (one.source === item || one.target === item);
      for (const element of elementsOf(one)) element.classList.toggle("lit", isLit);
    }
  }

  /** Dims the wires that are not traced; none if nothing is. @param {import("../flow.js").Traced|null} traced */
  function fade(traced) {
    for (const one of known.values()) {
      const isOff = traced !== null && !traced.hasWire(drawn.view, one);
      for (const element of elementsOf(one)) element.classList.toggle("off", isOff);
    }
  }

  return { draw, light, fade };
}

const elementsOf = ({ path, head }) => (head ? [path, head] : [path]);

function trace({ path, head }, points) {
  path.setAttribute("d", wirePath(points, head !== null));
  head?.setAttribute("d", arrowPath(points));
}

/** A wire with as many corners as before moves; any other appears. */
function moved(one, wire) {
  const [from, to] = [one.points, wire.points];
  one.points = to;
  trace(one, to);
  if (from.length !== to.length) return [fadeIn(elementsOf(one))];
  return [
    (share) =>
      trace(
        one,
        share === 1 ? to : to.map(([x, y], at) => [between(from[at][0], x, share), between(from[at][1], y, share)]),
      ),
  ];
}

function fadeIn(elements) {
  return (share) => {
    for (const element of elements) element.style.opacity = share === 1 ? "" : String(share ** 2);
  };
}

function isFar(clip, points) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
  }
  return left > clip.right || right < clip.left || top > clip.bottom || bottom < clip.top;
}

/** Whether it leads to what was removed, or from it. */
const isGhostly = ({ inputs, boxes }, { source, target }) =>
  [source, target].some((item) => boxes[item - inputs.length]?.look === "ghost");

/** What a wire carries, from where to where. */
function about({ view }, { net, source, target }) {
  const shape = view.shapes[net];
  return visible(`${labelOf(view, source)} → ${labelOf(view, target)}${shape ? `: ${shape}` : ""}`);
}

/** Of an item of a view: its inputs, boxes and outputs, in this order. */
function labelOf({ inputs, boxes, outputs }, item) {
  const at = item - inputs.length;
  return at < 0 ? inputs[item][0] : (boxes[at]?.label ?? outputs[at - boxes.length]);
}

// View -> layout: where every box, wire and port of a container is, as it was laid out or stretched.

import { SHEETS, countOf } from "../drawing/measure.js";
import { stretch } from "./stretch.js";

/** @typedef {import("../types.js").ViewData} ViewData */
/** @typedef {import("../types.js").BoxData} BoxData */
/** @typedef {import("./stretch.js").Point} Point */

/**
 * One container, measured from its upper left corner.
 *
 * @typedef {object} Layout
 * @property {ViewData} view
 * @property {number} width
 * @property {number} height
 * @property {Placed[]} boxes  of the whole network, its inputs and outputs too
 * @property {(import("./stretch.js").Wire & {headed: boolean})[]} wires
 * @property {Point[]} ins  where wires come in, below the head
 * @property {Point[]} outs  where they leave
 * @property {{net: number, shape: string, x: number, y: number, end: boolean}[]} labels
 * @property {string[]} gives  for each output the shape that stands at the wire to it
 */

/**
 * @typedef {object} Placed
 * @property {number} item
 * @property {BoxData|null} box
 * @property {string} name  of inputs and outputs, as `in:NAME`; they have no box
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {Layout|null} inside
 */

/**
 * Lays out views; what did not change since the last time is not done again.
 *
 * @param {import("../types.js").PageData} data
 */
export function createLayouts({ layouts, direction, open: first }) {
  const isDown = direction === "TB";
  const bases = layouts.map((written) => turned(isDown, read(written)));
  const shown = new Set(first);
  /** @type {WeakMap<ViewData, {inside: (Layout|null)[], layout: Layout}>} */
  const known = new WeakMap();

  /** @returns {Layout} */
  function layOut(view, open, whole) {
    const inside = view.boxes.map((box) => (box.inner && open.has(box.path) ? layOut(box.inner, open, false) : null));
    const before = known.get(view);
    if (before?.inside.every((one, at) => one === inside[at])) return before.layout;
    const ends = view.inputs.map(() => null);
    const boxes = inside.map((one, at) => one && insideOf(isDown, one, view.boxes[at]));
    const items = [...ends, ...boxes, ...view.outputs.map(() => null)];
    const stretched = turned(isDown, stretch(baseOf(view, items), items));
    const layout = named(stretched, view, inside, whole);
    known.set(view, { inside, layout });
    return layout;
  }

  /** What is stretched: the container as it is at first, if all that is open then still is; else with all closed. */
  function baseOf(view, items) {
    const [closed, open] = view.layouts.map((number) => bases[number]);
    const isAsLarge = (box, item) =>
      !(box.inner && shown.has(box.path)) ||
      (items[item] && items[item].width >= open.items[item].width && items[item].height >= open.items[item].height);
    return open && view.boxes.every((box, at) => isAsLarge(box, view.inputs.length + at)) ? open : closed;
  }

  return {
    /** The layout of a whole network, in which the boxes of these paths are open. */
    ofNetwork: (root, open) => layOut(root, open, true),
    /** The layout of a container by itself, in which everything is closed. */
    ofContainer: (view) => layOut(view, new Set(), false),
  };
}

/** @param {import("../types.js").LayoutData} written  @returns {import("./stretch.js").Layout} */
function read({ size: [width, height], items, nets, wires, labels }) {
  return {
    width,
    height,
    items: items.map(([x, y, width, height]) => ({ x, y, width, height })),
    wires: wires.map(([net, target, input, ...way]) => {
      const [source, output] = nets[net];
      const points = way.flatMap((x, at) => (at % 2 ? [] : [/** @type {Point} */ ([x, way[at + 1]])]));
      return { net, source, output, target, input, points };
    }),
    labels: labels.map(([net, x, y, end, room]) => {
      const [source, output] = nets[net];
      return { net, source, output, x, y, end: end === 1, room };
    }),
  };
}

/** A layout whose data runs down from one that runs to the right, and back. */
function turned(isDown, layout) {
  if (isDown) return layout;
  return {
    width: layout.height,
    height: layout.width,
    items: layout.items.map(({ x, y, width, height }) => ({ x: y, y: x, width: height, height: width })),
    wires: layout.wires.map((wire) => ({ ...wire, points: wire.points.map(([x, y]) => [y, x]) })),
    labels: layout.labels.map((label) => ({ ...label, x: label.y, y: label.x })),
  };
}

/** What an open box takes among others, as data runs down. @returns {import("./stretch.js").Inside} */
function insideOf(isDown, { width, height, ins, outs, gives }, box) {
  const high = height + (countOf(box) > 1 ? SHEETS : 0);
  const across = ([x, y]) => (isDown ? x : y);
  const [wide, long] = isDown ? [width, high] : [high, width];
  const told = (box.shapes ?? []).map(([, shape], at) => gives[at] === shape);
  return { width: wide, height: long, ins: ins.map(across), outs: outs.map(across), told };
}

/** A layout with what stands in it. */
function named({ width, height, items, wires, labels }, view, inside, whole) {
  const [numInputs, firstOutput] = [view.inputs.length, view.inputs.length + view.boxes.length];
  const nameOf = (item) =>
    item < numInputs ? `in:${view.inputs[item][0]}` : `out:${view.outputs[item - firstOutput]}`;
  const boxes = items.map((area, item) => {
    const box = view.boxes[item - numInputs] ?? null;
    return { ...area, item, box, name: box ? "" : nameOf(item), inside: inside[item - numInputs] ?? null };
  });
  const shapes = new Map(labels.map(({ net }) => [net, view.shapes[net]]));
  const nets = new Map(wires.map(({ target, net }) => [target, net]));
  const middle = ({ x, y, width, height }) => [x + Math.floor(width / 2), y + Math.floor(height / 2)];
  return {
    view,
    width,
    height,
    boxes: whole ? boxes : boxes.filter(({ box }) => box),
    wires: wires.map((wire) => ({ ...wire, headed: whole || wire.target < firstOutput })),
    ins: items.slice(0, numInputs).map(middle),
    outs: items.slice(firstOutput).map(middle),
    labels: labels.map((label) => ({ ...label, shape: view.shapes[label.net] })),
    gives: view.outputs.map((_, at) => shapes.get(nets.get(firstOutput + at)) ?? ""),
  };
}

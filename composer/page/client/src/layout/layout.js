// View -> layout: where every box, wire and port of a container is; as composer/draw/layout/layout.py.

import * as measure from "./measure.js";
import { route } from "./route.js";
import { boxAt, shapesOf, sizesOf, turned } from "./sizing.js";

/**
 * One container, measured from its upper left corner.
 *
 * @typedef {object} Layout
 * @property {any} view
 * @property {any} arrangement
 * @property {number} width
 * @property {number} height
 * @property {{item: number, box: any, name: string, x: number, y: number, width: number, height: number,
 *             inside: Layout|null}[]} boxes  `name` is of inputs and outputs, as `in:NAME`; `box` of all others
 * @property {{net: number, end: [number, number], points: [number, number][], headed: boolean}[]} wires
 * @property {{in: [number, number][], out: [number, number][]}} ports
 * @property {{net: number, shape: string, x: number, y: number, end: boolean}[]} labels
 * @property {[string, string][]} gives  for each wire to an output its name, and the shape that stands at it
 */

/**
 * Lays out views; what did not change since the last time is not done again.
 *
 * @param {any[]} arrangements
 * @param {"TB"|"LR"} direction
 */
export function createLayouts(arrangements, direction) {
  /** @type {WeakMap<any, {inside: (Layout|null)[], layout: Layout}>} */
  const known = new WeakMap();

  /** @returns {Layout} */
  function layOut(view, open, whole, head) {
    const inside = view.boxes.map((box) =>
      box.inner && open.has(box.path) ? layOut(box.inner, open, false, box.size[3]) : null,
    );
    const before = known.get(view);
    if (before && before.inside.every((one, at) => one === inside[at])) return before.layout;
    const layout = framed({ view, arrangement: arrangements[view.arrangement], inside, direction, whole, head });
    known.set(view, { inside, layout });
    return layout;
  }

  /** The layout of a whole network, in which the boxes of these paths are open. */
  return (root, open) => layOut(root, open, true, 0);
}

/** A routed view as a layout: turned to the direction of the picture, and set into its frame. */
function framed({ view, arrangement, inside, direction, whole, head }) {
  const sizes = sizesOf(view, arrangement, inside, direction, whole);
  const routed = route(arrangement, sizes);
  const down = direction === "TB";
  const content = turned(down, [routed.width, routed.height]);
  const [left, top] = cornerOf(down, whole, content[0], head);
  const moved = (point) => {
    const [x, y] = turned(down, point);
    return [x + left, y + top];
  };
  const [boxes, right, ports] = [[], [], { in: [], out: [] }];
  for (let item = 0; item < arrangement.numItems; item++) {
    const box = item < arrangement.numInputs ? undefined : boxAt(view, arrangement, item);
    const [x, y] = moved(routed.corners[item]);
    const [width, height] = turned(down, [sizes.width[item], sizes.height[item]]);
    const within = box ? inside[item - arrangement.numInputs] : null;
    right.push(box || whole ? x + width : left + content[0]);
    if (box || whole) {
      const name = nameOf(view, arrangement, item);
      boxes.push({ item, box: box ?? null, name, x, y, width, height, inside: within });
    }
    if (!box) {
      const side = item < arrangement.numInputs ? ports.in : ports.out;
      side.push([x + Math.floor(width / 2), y + Math.floor(height / 2)]);
    }
  }
  const wires = routed.wires.map(({ net, end, points }) => {
    const headed = whole || end[0] < arrangement.firstOutput;
    return { net, end, points: points.map(moved), headed };
  });
  const [width, height] = whole ? content : sizeOfFrame(down, content, head);
  const labels = labelsOf({ view, arrangement, inside, whole }, wires, right, down);
  return {
    view,
    arrangement,
    width,
    height,
    boxes,
    wires,
    ports,
    labels,
    gives: givesOf(view, arrangement, wires, labels),
  };
}

function nameOf(view, arrangement, item) {
  if (item < arrangement.numInputs) return `in:${view.inputs[item][0]}`;
  return item < arrangement.firstOutput ? "" : `out:${view.outputs[item - arrangement.firstOutput]}`;
}

/** Where the content starts within the frame. */
function cornerOf(down, whole, width, head) {
  if (whole) return [0, 0];
  if (!down) return [0, measure.HEADER + measure.FRAME / 2];
  return [Math.floor((sizeOfFrame(down, [width, 0], head)[0] - width) / 2), measure.HEADER];
}

/** The size of the frame around content of a size. */
function sizeOfFrame(down, [width, height], head) {
  if (!down) return [width, height + measure.HEADER + measure.FRAME / 2 + measure.FRAME];
  return [Math.max(width + 2 * measure.FRAME, head), height + measure.HEADER];
}

/** The shapes at the starts of wires, beside them and under their boxes, or above them. */
function labelsOf(sizing, wires, right, down) {
  const { view, arrangement } = sizing;
  const shown = new Map();
  const outputs = (item) => {
    if (!shown.has(item)) shown.set(item, new Set(shapesOf(sizing, item).map(([output]) => output)));
    return shown.get(item);
  };
  const found = [];
  let last = -1;
  for (const { net, points } of wires) {
    if (net === last) continue;
    last = net;
    const [output, shape] = view.tensors[net];
    const { source } = arrangement.nets[net];
    if (shape && outputs(source).has(output))
      found.push({ net, shape, ...labelAt(points[0], shape, right[source], down) });
  }
  return found;
}

function labelAt([x, y], shape, right, down) {
  if (!down) return { x: x + 4, y: y - 4, end: false };
  const end = x + measure.BESIDE + measure.labelWidth(shape) > right;
  return { x: x + (end ? -measure.BESIDE : measure.BESIDE), y: y + measure.BELOW, end };
}

function givesOf(view, arrangement, wires, labels) {
  const shapes = new Map(labels.map(({ net, shape }) => [net, shape]));
  return wires
    .filter(({ end }) => end[0] >= arrangement.firstOutput)
    .map(({ net, end }) => [view.outputs[end[0] - arrangement.firstOutput], shapes.get(net) ?? ""]);
}

// How large the items of a view are, across and along the direction of the picture; as composer/draw/layout/sizing.py.

import * as measure from "./measure.js";
import { LEAST_PIN_GAP, PIN_GAP } from "./ways.js";

/**
 * @param {any} view
 * @param {any} arrangement
 * @param {any[]} inside  the layout in each box of the view, or null
 * @param {"TB"|"LR"} direction
 * @param {boolean} whole  whether it is the whole network, whose inputs and outputs are boxes
 */
export function sizesOf(view, arrangement, inside, direction, whole) {
  const sizing = {
    view,
    arrangement,
    inside,
    down: direction === "TB",
    whole,
    widest: widestShapes(view, arrangement),
  };
  const common = measure.commonWidth(view, inside);
  const { takes, gives, fixed, numItems } = arrangement;
  const width = [];
  const height = [];
  const [inputs, outputs] = [[], []];
  for (let item = 0; item < numItems; item++) {
    const [across, along] = turned(sizing.down, sizeOf(sizing, item, common));
    // Wires at one box need room beside each other, and the words at them too.
    width.push(Math.max(across, LEAST_PIN_GAP * 2 * takes[item], rowOfLabels(sizing, item)));
    height.push(along);
    if (insideOf(sizing, item)) {
      inputs.push([item, portsOf(sizing, item, "in", takes[item])]);
      outputs.push([item, portsOf(sizing, item, "out", gives[item])]);
    } else if (fixed.has(item)) {
      inputs.push([item, fromMiddle(width[item], takes[item])]);
      outputs.push([item, evenly(width[item], gives[item])]);
    }
  }
  const labels = Array.from({ length: numItems }, (_, item) => labelRoom(sizing, item));
  return { width, height, labels, inputs, outputs };
}

export const turned = (down, [x, y]) => (down ? [x, y] : [y, x]);

/** The box of an item; undefined for inputs and outputs. */
export function boxAt(view, arrangement, item) {
  return item < arrangement.firstOutput ? view.boxes[item - arrangement.numInputs] : undefined;
}

function insideOf({ arrangement, inside }, item) {
  return item >= arrangement.numInputs && item < arrangement.firstOutput ? inside[item - arrangement.numInputs] : null;
}

function sizeOf(sizing, item, common) {
  const box = boxAt(sizing.view, sizing.arrangement, item);
  if (box === undefined) return sizeOfEnd(sizing, item);
  const inside = insideOf(sizing, item);
  if (!inside) return [Math.max(common, box.size[1]), box.size[2]];
  return [inside.width, inside.height + (measure.countOf(box) > 1 ? measure.SHEETS : 0)];
}

/** An input or output: a box where the whole network is drawn, else a point on the frame. */
function sizeOfEnd({ view, arrangement, down, whole, widest }, item) {
  const isInput = item < arrangement.numInputs;
  if (whole) {
    const name = isInput ? view.inputs[item][0] : view.outputs[item - arrangement.firstOutput];
    return [Math.max(measure.pillWidth(name), 2 * (widest[item] + measure.PAD)), measure.ROW];
  }
  if (!down) return [0, measure.PORT];
  const count = (isInput ? view.inputs : view.outputs).length;
  return [count === 1 ? measure.PORT : measure.PORT + 2 * widest[item], 0];
}

/** The width of the widest shape at each item's wires. */
function widestShapes(view, arrangement) {
  const found = new Array(arrangement.numItems).fill(0);
  arrangement.nets.forEach((net, number) => {
    const wide = measure.labelWidth(view.tensors[number][1]);
    for (const item of [net.source, ...net.targets.map(([target]) => target)])
      found[item] = Math.max(found[item], wide);
  });
  return found;
}

/** How far across the words reach that stand beside each other at an item's wires. */
function rowOfLabels({ arrangement, down, widest }, item) {
  const count = arrangement.gives[item];
  if (count < 2) return 0;
  return (count + 1) * (down ? widest[item] + measure.PAD : measure.LABEL_ROW + 1);
}

/** Where an open box is entered or left. */
function portsOf(sizing, item, side, count) {
  const inside = insideOf(sizing, item);
  const points = [...inside.ports[side]];
  // Of a block with mistakes, what it gives may lead to nothing inside.
  while (points.length < count) points.push([Math.floor(inside.width / 2), Math.floor(inside.height / 2)]);
  return points.map(([x, y]) => (sizing.down ? x : y));
}

/** How far along the direction the words at an item's wires reach. */
function labelRoom(sizing, item) {
  const shapes = shapesOf(sizing, item);
  if (shapes.length === 0) return 0;
  if (sizing.down) return measure.LABEL_ROW;
  return Math.max(...shapes.map(([, shape]) => measure.labelWidth(shape))) + 6;
}

/** The shapes that stand at an item's wires, each with the output's name. */
export function shapesOf({ view, arrangement, inside, whole }, item) {
  const box = boxAt(view, arrangement, item);
  if (box !== undefined && item >= arrangement.numInputs) {
    const within = inside[item - arrangement.numInputs];
    const shapes = box.shown ? (box.shapes ?? []) : [];
    return shapes.filter(([output, shape]) => !within || shape !== given(within, output));
  }
  // Those of a container within another one stand outside of it already.
  return item < arrangement.numInputs && whole ? [["", view.inputs[item][1]]] : [];
}

/** The shape that stands at the wire to an output of a layout; empty where none does. */
function given(layout, output) {
  for (const [name, shape] of layout.gives) if (output === "" || output === name) return shape;
  return "";
}

/** Places on an edge, the first in its middle. */
function fromMiddle(length, count) {
  const half = Math.floor(length / 2);
  const apart = Math.min(PIN_GAP, Math.floor((half - LEAST_PIN_GAP) / Math.max(1, count - 1)));
  return Array.from({ length: count }, (_, index) => half + apart * index);
}

function evenly(length, count) {
  return Array.from({ length: count }, (_, index) => Math.floor((length * (index + 1)) / (count + 1)));
}

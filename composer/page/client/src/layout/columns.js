// How far to the right each item stands; as composer/draw/layout/columns.py.

import { pop, push } from "./heap.js";

const ROUNDS = 16;
const MOST_MOVES = 30_000;

/**
 * Where wires touch an item, measured from its left edge.
 *
 * @typedef {{width: number[], inputs: Map<number, number[]>, outputs: Map<number, number[]>}} Pins
 */

/** Where an input comes in. @param {Pins} pins */
export function topOf(pins, item, index) {
  const fixed = pins.inputs.get(item);
  return fixed ? fixed[index] : Math.floor(pins.width[item] / 2);
}

/** Where an output leaves. @param {Pins} pins */
export function bottomOf(pins, item, output) {
  const fixed = pins.outputs.get(item);
  return fixed ? fixed[output] : Math.floor(pins.width[item] / 2);
}

/** The left edge of every item and bend; neighbours in a layer are at least `gap` of the two apart. */
export function placeColumns(arrangement, pins, gap) {
  const columns = columnsOf(arrangement, pins);
  const [before, after] = distancesOf(arrangement, pins, gap, columns);
  const order = leftToRight(before, after);
  const x = new Array(columns.count).fill(0);
  for (const one of order) {
    let least = before[one].size ? -Infinity : 0;
    for (const [other, apart] of before[one]) least = Math.max(least, x[other] + apart);
    x[one] = least;
  }
  settle(x, order, before, after, pullsOf(arrangement, pins, columns));
  const left = columns.column.map((column, at) => x[column] + columns.offset[at]);
  const first = left.reduce((least, one) => Math.min(least, one), left.length ? left[0] : 0);
  return left.map((one) => one - first);
}

function columnsOf(arrangement, pins) {
  const column = new Array(pins.width.length).fill(0);
  const offset = new Array(pins.width.length).fill(0);
  let count = 0;
  for (const layer of arrangement.layers) {
    for (const item of layer) {
      const step = arrangement.straightTo.get(item);
      if (step === undefined) {
        column[item] = count++;
      } else {
        const [source, , output, feeds] = step;
        column[item] = column[source];
        offset[item] = offset[source] + bottomOf(pins, source, output) - topOf(pins, item, feeds);
      }
    }
  }
  return { column, offset, count };
}

/** How far each column must stand from those at its left, and from those at its right. */
function distancesOf(arrangement, pins, gap, columns) {
  const before = Array.from({ length: columns.count }, () => new Map());
  const after = Array.from({ length: columns.count }, () => new Map());
  for (const layer of arrangement.layers) {
    for (let at = 1; at < layer.length; at++) {
      const [left, right] = [layer[at - 1], layer[at]];
      const least = columns.offset[left] + pins.width[left] + gap(left, right) - columns.offset[right];
      const [one, other] = [columns.column[left], columns.column[right]];
      const known = before[other].get(one);
      if (known === undefined || least > known) {
        before[other].set(one, least);
        after[one].set(other, least);
      }
    }
  }
  return [before, after];
}

function leftToRight(before, after) {
  const waiting = before.map((some) => some.size);
  const ready = [];
  waiting.forEach((count, one) => count === 0 && push(ready, one));
  const order = [];
  while (ready.length) {
    const one = pop(ready);
    order.push(one);
    for (const other of after[one].keys()) if (--waiting[other] === 0) push(ready, other);
  }
  return order;
}

/** For each column the columns it is wired to, and how far to the right of them its origin would be straight. */
function pullsOf(arrangement, pins, columns) {
  const pulls = Array.from({ length: columns.count }, () => []);
  for (const [source, target, output, feeds] of arrangement.bentSteps) {
    const [one, other] = [columns.column[source], columns.column[target]];
    if (one === other) continue;
    const out = columns.offset[source] + bottomOf(pins, source, output);
    const into = columns.offset[target] + topOf(pins, target, feeds);
    pulls[one].push([other, into - out]);
    pulls[other].push([one, out - into]);
  }
  return pulls;
}

/** Moves columns to the middle of where their wires pull them, as far as their neighbours leave room. */
function settle(x, order, before, after, pulls) {
  const waiting = pulls.map((some) => some.length > 0);
  const back = [...order].reverse();
  const rounds = Math.min(ROUNDS, Math.floor(MOST_MOVES / Math.max(1, order.length)));
  const wake = (other) => (waiting[other] = pulls[other].length > 0);
  for (let round = 0; round < rounds && waiting.includes(true); round++) {
    for (const one of [...back, ...order]) {
      if (!waiting[one]) continue;
      waiting[one] = false;
      const middle = wantedPlace(x, before[one], after[one], pulls[one]);
      if (middle === x[one]) continue;
      x[one] = middle;
      for (const other of after[one].keys()) wake(other);
      for (const other of before[one].keys()) wake(other);
      for (const [end] of pulls[one]) wake(end);
    }
  }
}

function wantedPlace(x, before, after, pulls) {
  const wanted = pulls.map(([other, shift]) => x[other] + shift).sort((one, other) => one - other);
  let middle = Math.floor((wanted[(wanted.length - 1) >> 1] + wanted[wanted.length >> 1]) / 2);
  for (const [other, apart] of after) middle = Math.min(middle, x[other] - apart);
  for (const [other, apart] of before) middle = Math.max(middle, x[other] + apart);
  return middle;
}

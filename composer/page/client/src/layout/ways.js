// Where each net passes each layer, and where on its edge a box lets each wire in; as composer/draw/layout/ways.py.

import { bottomOf, topOf } from "./columns.js";
import { runOf } from "./tracks.js";

export const PIN_GAP = 14;
export const WIRE_GAP = 14;
export const LEAST_PIN_GAP = 4;

/**
 * Wires through the bends of their nets, or down lanes at the right of everything they pass.
 *
 * `leaves` says where nets leave boxes, `enters` where wires come in (by `item index`), `bends` where nets pass each
 * layer between, `lanes` where those run that go beside.
 */
export function findWays(arrangement, pins, left) {
  const { nets, bends: numbers, numItems } = arrangement;
  const leaves = nets.map((net) => left[net.source] + bottomOf(pins, net.source, net.output));
  const bends = nets.map(() => []);
  numbers.forEach((number, index) => bends[number].push(left[numItems + index]));
  const { lanes, width } = lanesOf(arrangement, pins, left);
  const ways = { arrangement, leaves, bends, lanes, enters: new Map(), width };
  ways.enters = entersOf(arrangement, pins, left, ways);
  return ways;
}

export const endKey = (item, index) => `${item} ${index}`;

/** The gaps in which a wire may turn: level, where it comes from above, where it goes on below. */
export function pathOf(ways, number, [target, index]) {
  const { layer, nets } = ways.arrangement;
  const [first, last] = [layer[nets[number].source], layer[target] - 1];
  const found = [];
  let x = ways.leaves[number];
  if (ways.lanes.has(number) && first < last) {
    found.push([first, x, ways.lanes.get(number)]);
    x = ways.lanes.get(number);
  } else if (first < last) {
    for (let level = first; level < last; level++) {
      const bend = ways.bends[number][level - first];
      found.push([level, x, bend]);
      x = bend;
    }
  }
  found.push([last, x, ways.enters.get(endKey(target, index))]);
  return found;
}

/** The nets between each layer and the next, as far as they can turn there. */
export function runsOf(ways) {
  const { nets, layers } = ways.arrangement;
  const found = Array.from({ length: Math.max(0, layers.length - 1) }, () => []);
  nets.forEach((net, number) => {
    const turns = new Map();
    for (const end of net.targets) {
      for (const [level, top, bottom] of pathOf(ways, number, end)) {
        if (!turns.has(level)) turns.set(level, [top, new Set()]);
        turns.get(level)[1].add(bottom);
      }
    }
    for (const [level, [top, bottoms]] of turns) found[level].push(runOf(number, top, [...bottoms]));
  });
  return found;
}

/** A lane for each net that goes beside, the short ones nearest; and the width of everything. */
function lanesOf(arrangement, pins, left) {
  const { nets, layer, layers, beside } = arrangement;
  const right = layers.map((items) => items.reduce((most, item) => Math.max(most, left[item] + pins.width[item]), 0));
  const spans = beside.map((number) => {
    const ends = nets[number].targets.map(([target]) => layer[target]);
    return { number, first: layer[nets[number].source], last: ends.reduce((one, other) => Math.max(one, other)) };
  });
  spans.sort((one, other) => one.last - one.first - (other.last - other.first) || one.number - other.number);
  const lanes = new Map();
  for (const { number, first, last } of spans) {
    let x = 0;
    for (let at = first; at <= last; at++) x = Math.max(x, right[at] + WIRE_GAP);
    lanes.set(number, x);
    right.fill(x, first, last + 1);
  }
  return { lanes, width: right.reduce((most, one) => Math.max(most, one), 0) };
}

/** Where each wire comes in, by its end. */
function entersOf(arrangement, pins, left, ways) {
  const { nets, layer } = arrangement;
  const arriving = new Map();
  nets.forEach((net, number) => {
    for (const [target, index] of net.targets) {
      const passed = layer[target] - layer[net.source] - 1;
      const x = passed === 0 ? ways.leaves[number] : ways.lanes.get(number) || ways.bends[number][passed - 1];
      if (!arriving.has(target)) arriving.set(target, []);
      arriving.get(target).push([x, index]);
    }
  });
  const enters = new Map();
  for (const [item, found] of arriving) {
    if (pins.inputs.has(item)) {
      for (const [, index] of found) enters.set(endKey(item, index), left[item] + topOf(pins, item, index));
    } else {
      for (const [index, x] of spread(found, left[item], pins.width[item])) enters.set(endKey(item, index), x);
    }
  }
  return enters;
}

/** Where each input comes in, by its number: in the order the wires come, a straight one in the middle. */
function spread(arriving, left, width) {
  const middle = left + Math.floor(width / 2);
  const ordered = [...arriving].sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  const straight = ordered.findIndex(([x]) => x === middle);
  const centre = straight < 0 ? (ordered.length - 1) / 2 : straight;
  const widest = Math.max(centre, ordered.length - 1 - centre);
  const apart = widest ? Math.min(PIN_GAP, (Math.floor(width / 2) - LEAST_PIN_GAP) / widest) : 0;
  return ordered.map(([, index], place) => [index, middle + Math.trunc((place - centre) * apart)]);
}

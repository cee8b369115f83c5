// Room for what opens: where an open box needs more than the closed one had, gaps come in at its edges, and every point
// moves on by the gaps before it. What stood above something, or left of it, still does, and nothing meets.

/** Between two wires that turn beside each other at an open box; and from such a turn to the end of an arrow. */
const APART = 8;
const ARRIVE = 14;

/**
 * A container as Python laid it out, or stretched. Items are its inputs, boxes and outputs, in this order.
 *
 * @typedef {[number, number]} Point
 * @typedef {{x: number, y: number, width: number, height: number}} Area
 * @typedef {{net: number, source: number, output: number, target: number, input: number, points: Point[]}} Wire
 * @typedef {{net: number, source: number, output: number, x: number, y: number, end: boolean, room: number}} Label
 * @typedef {{width: number, height: number, items: Area[], wires: Wire[], labels: Label[]}} Layout
 */

/**
 * What is in an open box: its size, where on the upper and the lower edge wires come in and leave, and of which outputs
 * the shape stands inside and not below it.
 *
 * @typedef {{width: number, height: number, ins: number[], outs: number[], told: boolean[]}} Inside
 */

/**
 * How an open box hangs among its wires: its left edge, the wires that turn since they cannot come in or leave straight
 * (to which place on the box's edge, in which row from above), and the room that this takes above and below the box.
 * What was left below the closed box for a shape that is now inside is `spare`.
 *
 * @typedef {{port: number, row: number}} Turn
 * @typedef {{left: number, ins: Map<number, Turn>, outs: Map<number, Turn>, above: number, below: number,
 *            spare: number}} Joint
 */

/**
 * A layout with open boxes in it; data runs down.
 *
 * @param {Layout} base
 * @param {(Inside|null)[]} inside  of every item
 * @returns {Layout}
 */
export function stretch(base, inside) {
  if (!inside.some(Boolean)) return base;
  const pins = pinsOf(base);
  const across = acrossOf(base, inside, pins);
  const hidden = base.labels.filter(({ source, output }) => inside[source]?.told[output]);
  const shown = base.labels.filter((label) => !hidden.includes(label));
  const joints = inside.map((one, item) => one && jointOf(one, pins[item], base.items[item], across));
  for (const { source, room } of hidden)
    if (!shown.some((label) => label.source === source)) joints[source].spare = room;
  const down = downOf(base, inside, joints);
  const items = base.items.map((area, item) => {
    const joint = joints[item];
    const y = down(area.y) + (joint?.above ?? 0);
    if (joint) return { x: joint.left, y, width: inside[item].width, height: inside[item].height };
    return { ...closedAcross(area, pins[item], across), y, height: area.height };
  });
  const moved = base.wires.map((wire) => ({ ...wire, points: wire.points.map(([x, y]) => [across(x), down(y)]) }));
  const labels = shown.map((label) => {
    const { source, output } = label;
    const x = pins[source].outs.get(output);
    const bottom = items[source].y + items[source].height + (joints[source]?.below ?? 0);
    const before = base.items[source].y + base.items[source].height;
    return { ...label, x: label.x - x + across(x), y: label.y - before + bottom };
  });
  return { width: across(base.width), height: down(base.height), items, wires: joined(moved, items, joints), labels };
}

const middleOf = ({ x, width }) => x + Math.floor(width / 2);

/** Where wires touch every item: by input, and by output. */
function pinsOf({ items, wires }) {
  const pins = items.map(() => ({ ins: new Map(), outs: new Map() }));
  for (const { source, output, target, input, points } of wires) {
    pins[source].outs.set(output, points[0][0]);
    pins[target].ins.set(input, points[points.length - 1][0]);
  }
  return pins;
}

/** The port of an open box that is kept straight, and where the wire to it runs: its first way in, or else out. */
function hookOf({ width, ins, outs }, pins, area) {
  if (pins.ins.has(0)) return [portAt(ins, 0, width), pins.ins.get(0)];
  if (pins.outs.has(0)) return [portAt(outs, 0, width), pins.outs.get(0)];
  return [Math.floor(width / 2), middleOf(area)];
}

/** Of a block with mistakes, what it gives may lead to nothing inside. */
const portAt = (ports, index, width) => ports[index] ?? Math.floor(width / 2);

/** Where everything goes across: room for open boxes at the left of what they hang from, and at its right. */
function acrossOf({ items }, inside, pins) {
  const [before, after] = [[], []];
  inside.forEach((one, item) => {
    if (!one) return;
    const { x, width } = items[item];
    const [port, hook] = hookOf(one, pins[item], items[item]);
    before.push([-hook, -x, port]);
    after.push([hook, x + width, one.width - port]);
  });
  const [left, right] = [gapsOf(before), gapsOf(after)];
  const all = left(Infinity);
  return (x) => x + all - left(-x) + right(x);
}

/** Where everything goes down: room for open boxes, and for wires that turn above and below them. */
function downOf({ items }, inside, joints) {
  const spans = [];
  joints.forEach((joint, item) => {
    const { y, height } = items[item];
    if (joint) spans.push([y, y + height, joint.above + inside[item].height + joint.below - joint.spare]);
  });
  const gaps = gapsOf(spans);
  return (y) => y + gaps(y);
}

/**
 * The least gaps with which each of some spans, `[from, to, length]`, is so long. They lie at the spans' ends.
 *
 * @param {[number, number, number][]} spans
 * @returns {(place: number) => number}  what the gaps up to a place come to
 */
function gapsOf(spans) {
  const [places, sums] = [[], [0]];
  const upTo = (place) => {
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle] <= place) low = middle + 1;
      else high = middle;
    }
    return sums[low];
  };
  for (const [from, to, length] of spans.sort((one, other) => one[1] - other[1])) {
    const more = length - (to - from) - (upTo(to) - upTo(from));
    if (more <= 0) continue;
    places.push(to);
    sums.push(sums[sums.length - 1] + more);
  }
  return upTo;
}

/** @returns {Joint} */
function jointOf(one, pins, area, across) {
  const [port, hook] = hookOf(one, pins, area);
  const left = across(hook) - port;
  const ends = (ports, touched) =>
    [...touched].map(([index, x]) => ({ index, x, outside: across(x), port: left + portAt(ports, index, one.width) }));
  const [ins, outs] = [ends(one.ins, pins.ins), ends(one.outs, pins.outs)];
  // A row for each wire that might turn, though gaps elsewhere may have made it straight: as others open, this box
  // keeps its size.
  const mayTurn = ({ x, outside, port }) => port !== outside || port - across(hook) !== x - hook;
  const [above, below] = [ins.filter(mayTurn).length, outs.filter(mayTurn).length];
  return {
    left,
    ins: turnsOf(ins.map((end) => ({ ...end, from: end.outside, to: end.port }))),
    outs: turnsOf(outs.map((end) => ({ ...end, from: end.port, to: end.outside }))),
    above: above && ARRIVE + (above - 1) * APART,
    below: below * APART,
    spare: 0,
  };
}

/** Which wires turn on their way down, and in which rows. Of those to the right, the one furthest right turns first. */
function turnsOf(ends) {
  const rightward = ends.filter(({ from, to }) => from < to).sort((one, other) => other.from - one.from);
  const leftward = ends.filter(({ from, to }) => from > to).sort((one, other) => one.from - other.from);
  const rows = [...rightward.entries(), ...leftward.entries()];
  return new Map(rows.map(([row, { index, port }]) => [index, { port, row }]));
}

/** A closed box is as wide as before, but for gaps between its wires. */
function closedAcross({ x, width }, { ins, outs }, across) {
  const touched = [...ins.values(), ...outs.values()];
  const [first, last] = touched.length ? [Math.min(...touched), Math.max(...touched)] : [x, x];
  const left = across(first) - (first - x);
  return { x: left, width: across(last) + (x + width - last) - left };
}

/** The wires with their ends on the edges of the boxes, whether they are straight there or turn. */
function joined(wires, items, joints) {
  const isFree = (net, at, from, to) =>
    items.every(({ x, y, width, height }) => x >= at || x + width <= at || y >= to || y + height <= from) &&
    wires.every((wire) => wire.net === net || !runsAlong(wire.points, at, from, to));
  return wires.map((wire) => {
    const { net, source, output, target, input, points } = wire;
    const entering = joints[target]?.ins.get(input);
    const start = leave(points[0][0], items[source], joints[source]?.outs.get(output));
    const before = points.slice(1, -1);
    const [x, y] = before[before.length - 2] ?? points[0];
    const [end] = points[points.length - 1];
    const { y: top } = items[target];
    // Coming from the side of its port, a wire need not go past it and back.
    const isPast = entering && before.length > 1 && (entering.port - x) * (end - entering.port) > 0;
    if (isPast && isFree(net, entering.port, y, top))
      return { ...wire, points: [...start, ...before.slice(0, -1), [entering.port, y], [entering.port, top]] };
    return { ...wire, points: [...start, ...before, ...enter(end, top, entering, joints[target])] };
  });
}

/** Whether a wire runs down at a place, somewhere between two heights. */
const runsAlong = (points, at, from, to) =>
  points.slice(1).some(([x, y], before) => {
    const [a, b] = points[before];
    return x === at && a === at && Math.max(y, b) > from && Math.min(y, b) < to;
  });

/** How a wire starts that goes on at a place across: straight below its box, or from a port elsewhere. */
function leave(x, { y, height }, turn) {
  const bottom = y + height;
  if (!turn) return [[x, bottom]];
  const row = bottom + APART * (turn.row + 1);
  return [
    [turn.port, bottom],
    [turn.port, row],
    [x, row],
  ];
}

/** How a wire ends that comes from a place across. */
function enter(x, top, turn, joint) {
  if (!turn) return [[x, top]];
  const row = top - joint.above + APART * turn.row;
  return [
    [x, row],
    [turn.port, row],
    [turn.port, top],
  ];
}

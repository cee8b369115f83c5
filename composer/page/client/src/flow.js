// Where data comes from and goes to, across all containers, open or closed.

/** @typedef {import("./types.js").LayoutData} LayoutData */
/** @typedef {import("./types.js").ViewData} ViewData */

/**
 * What is on the way to a node, or from it. A point is an operation, or an input or output of a container.
 *
 * @typedef {object} Traced
 * @property {(path: string) => boolean} has  whether a box, something in it, or an end of the network is on the way
 * @property {(view: ViewData, wire: {net: number, source: number, target: number, input: number}) => boolean} hasWire
 * @property {number} count  how many operations
 */

const known = new WeakMap();

/**
 * @param {any} network  index of a network
 * @param {LayoutData[]} layouts
 * @param {string} path  of a box
 * @param {"up"|"down"|"both"} way
 * @returns {Traced}
 */
export function tracedFrom(network, layouts, path, way) {
  if (!known.has(network)) known.set(network, flowOf(network.root, layouts));
  const flow = known.get(network);
  const { box, view } = network.entry(path);
  const [starts, ends] = [flow.startsOf(view, box), flow.endsOf(view, box)];
  const up = way === "down" ? new Set() : reached(starts, flow.before);
  const down = way === "up" ? new Set() : reached(ends, flow.after);
  const within = new Set(box.inner ? flow.pointsIn(box.inner) : [...starts]);
  const all = new Set([...up, ...down, ...within]);
  const boxes = new Set();
  let count = 0;
  for (const [point, own] of flow.boxes) {
    if (!all.has(point)) continue;
    count += 1;
    for (const one of [own, ...network.around(own)]) boxes.add(one);
  }
  boxes.add(path);
  for (const [point, name] of flow.ends) if (all.has(point)) boxes.add(name);
  return {
    has: (one) => boxes.has(one),
    hasWire(view, { net, source, target, input }) {
      const [from, to] = [flow.out(view, source, outputOf(layouts, view, net)), flow.into(view, target, input)];
      if (within.has(from) && within.has(to)) return true;
      return (way !== "down" && up.has(to)) || (way !== "up" && down.has(from));
    },
    count,
  };
}

const outputOf = (layouts, view, net) => layouts[view.layouts[0]].nets[net][1];

/** All points that lead to some, or that these lead to. */
function reached(starts, steps) {
  const found = new Set(starts);
  for (const point of found) for (const next of steps.get(point) ?? []) found.add(next);
  return found;
}

/** The points of a network, and which follow which. @param {ViewData} root @param {LayoutData[]} layouts */
function flowOf(root, layouts) {
  const numbers = new Map();
  const [after, before, boxes] = [new Map(), new Map(), new Map()];
  const point = (view, item) => `${numbers.get(view)}:${item}`;
  const boxOf = (view, item) => view.boxes[item - view.inputs.length];
  const firstOutput = (view) => view.inputs.length + view.boxes.length;

  /** Where what goes into an input of an item is. */
  function into(view, item, input) {
    const inner = boxOf(view, item)?.inner;
    return inner ? point(inner, Math.min(input, inner.inputs.length - 1)) : point(view, item);
  }

  /** Where what comes out of an item is. */
  function out(view, item, output) {
    const inner = boxOf(view, item)?.inner;
    if (!inner) return point(view, item);
    return point(inner, firstOutput(inner) + Math.min(output, inner.outputs.length - 1));
  }

  function link(from, to) {
    for (const [steps, one, other] of [
      [after, from, to],
      [before, to, from],
    ])
      steps.set(one, [...(steps.get(one) ?? []), other]);
  }

  function number(view) {
    numbers.set(view, numbers.size);
    for (const box of view.boxes) if (box.inner) number(box.inner);
  }

  function walk(view) {
    const { nets, wires } = layouts[view.layouts[0]];
    for (const [net, target, input] of wires) link(out(view, ...nets[net]), into(view, target, input));
    view.boxes.forEach((box, index) => {
      if (box.inner) walk(box.inner);
      else boxes.set(point(view, view.inputs.length + index), box.path);
    });
  }

  const pointsIn = (view) => [
    ...Array.from({ length: firstOutput(view) + view.outputs.length }, (_, item) => point(view, item)),
    ...view.boxes.flatMap((box) => (box.inner ? pointsIn(box.inner) : [])),
  ];
  const itemOf = (view, box) => view.inputs.length + view.boxes.indexOf(box);
  const pointsOf = (view, box, make, count) =>
    Array.from({ length: count }, (_, index) => make(view, itemOf(view, box), index));

  number(root);
  walk(root);
  const named = [...root.inputs.map(([name]) => `in:${name}`), ...root.outputs.map((name) => `out:${name}`)];
  const items = named.map((_, at) => (at < root.inputs.length ? at : at + root.boxes.length));
  return {
    after,
    before,
    boxes,
    ends: named.map((name, at) => [point(root, items[at]), name]),
    into,
    out,
    pointsIn,
    startsOf: (view, box) => pointsOf(view, box, into, box.inner?.inputs.length || 1),
    endsOf: (view, box) => pointsOf(view, box, out, box.inner?.outputs.length || 1),
  };
}

// An arrangement as Python wrote it, in flat lists of numbers, made ready to work on.

/**
 * @typedef {{source: number, output: number, targets: [number, number][]}} Net
 */

/** @param {any} written */
export function readArrangement(written) {
  const straight = inFours(written.straight);
  return {
    numInputs: written.inputs,
    numItems: written.layer.length,
    firstOutput: written.layer.length - written.outputs,
    /** @type {Net[]} */
    nets: written.nets.map(([source, output, ...ends]) => ({ source, output, targets: inPairs(ends) })),
    takes: written.takes,
    gives: written.gives,
    fixed: new Set(written.fixed),
    layer: written.layer,
    layers: written.layers,
    beside: written.beside,
    bends: written.bends,
    straightTo: new Map(straight.map((step) => [step[1], step])),
    bentSteps: inFours(written.bent),
    routes: new Map(),
  };
}

const inPairs = (flat) => grouped(flat, 2);
const inFours = (flat) => grouped(flat, 4);

function grouped(flat, size) {
  const found = [];
  for (let at = 0; at < flat.length; at += size) found.push(flat.slice(at, at + size));
  return found;
}

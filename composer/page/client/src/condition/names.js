// What a condition may ask of a node: its facts by name.

/** @typedef {import("../store.js").Store} Store */
/** @typedef {import("../types.js").FactsData} FactsData */

const AXES = { c: "channels", h: "height", w: "width", n: "tokens", l: "length", t: "frames" };

/**
 * The values of every node of the network that is shown, by path, and all their names.
 *
 * @param {Store} store
 * @returns {{names: Set<string>, nodes: Map<string, Record<string, any>>}}
 */
export function namedFacts(store) {
  const network = store.data.networks.find((one) => one.key === store.state.network);
  const places = new Map((network.places ?? []).map(([path, stage, block]) => [path, { stage, block }]));
  const nodes = new Map();
  const names = new Set();
  for (const [path, facts] of store.allFacts()) {
    const values = {
      ...optionsOf(store, facts),
      ...costsOf(store, facts, path),
      ...placeOf(places, path),
      ...identityOf(store, path, facts),
      ...shapeOf(store, facts),
    };
    nodes.set(path, values);
    for (const name of Object.keys(values)) names.add(name);
  }
  return { names, nodes };
}

/** Options as the network has them: numbers, words, lists. @param {Store} store @param {FactsData} facts */
function optionsOf(store, facts) {
  const rows = facts.options === undefined ? [] : store.data.tables.options[facts.options];
  return Object.fromEntries(rows.map(([name, value]) => [name, parsed(value)]));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {Store} store @param {FactsData} facts */
function costsOf(store, facts, path) {
  const found = {};
  const isFirst = store.state.network === store.data.networks[0].key;
  for (const { key, fact, numbers } of store.data.modes) {
    found[key] = (fact ? facts[fact] : isFirst ? numbers[path] : null) ?? null;
  }
  return { parameters: facts.parameters, macs: facts.macs, ...found };
}

/** The stage and block that a node is in, from 1. */
function placeOf(places, path) {
  let own = path;
  while (own && !places.has(own)) own = own.slice(0, Math.max(0, own.lastIndexOf(".")));
  return places.get(own) ?? { stage: null, block: null };
}

/** @param {Store} store @param {FactsData} facts */
function identityOf(store, path, facts) {
  return {
    op: facts.op,
    kind: (facts.kind === "attention" && store.data.tables.operations[facts.op]?.kind) || facts.kind,
    path,
    name: path.slice(path.lastIndexOf(".") + 1),
    rule: facts.rule === undefined ? null : facts.rule + 1,
    sites: facts.sites ?? [],
  };
}

/** The lengths of the axes of its first output. @param {Store} store @param {FactsData} facts */
function shapeOf(store, facts) {
  const found = Object.fromEntries(Object.values(AXES).map((name) => [name, null]));
  const [end] = facts.out ?? [];
  if (end === undefined) return found;
  const [shape, layout] = store.data.tables.tensors[Array.isArray(end) ? end[1] : end];
  const axes = (layout ?? "").replace(/ \(.*/, "").split(" ");
  const lengths = shape.split("×");
  if (axes.length !== lengths.length) return found;
  axes.forEach((axis, at) => {
    if (AXES[axis] && /^[0-9]+$/.test(lengths[at])) found[AXES[axis]] = Number(lengths[at]);
  });
  return found;
}

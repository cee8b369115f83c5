// Nodes by what they are called: path, operation, label, and where they are written.

/** @typedef {import("./types.js").FactsData} FactsData */
/** @typedef {import("./store.js").Store} Store */

/**
 * @typedef {{path: string, op: string, line: string, text: string, name: string}} Findable
 */

/**
 * Every node of the network, copies too.
 *
 * @returns {Findable[]}
 * @param {Store} store
 */
export function findables(store) {
  const network = store.network();
  const facts = store.allFacts();
  const found = new Map();
  const add = (path, op, detail, line) => {
    const name = path.slice(path.lastIndexOf(".") + 1);
    const text = [path, op, detail, line].join("\n").toLowerCase();
    found.set(path, { path, op: detail || op, line, text, name: name.toLowerCase() });
  };
  for (const [path, { box, within }] of network.entries) {
    // Steps of an operation are no nodes of the network.
    if (within) continue;
    const own = facts.get(path);
    add(path, box.op, box.detail ?? "", lineOf(store, own) || box.line || "");
    for (const copy of box.copies ?? []) if (!facts.has(copy)) add(copy, box.op, box.detail ?? "", box.line ?? "");
  }
  for (const [path, one] of facts) {
    const box = found.has(path) || path === "" ? null : network.at(path);
    // Inside copies, nodes have the options of those inside the first one.
    if (box) add(path, one.op ?? "", box.op === one.op ? (box.detail ?? "") : "", lineOf(store, one));
  }
  return [...found.values()];
}

/**
 * Where a node is written, as `file:line`.
 *
 * @param {Store} store
 * @param {FactsData} facts
 */
function lineOf(store, facts) {
  const [file, line] = facts?.line ?? [];
  const name = store.data.files?.[file]?.name;
  return name ? `${name}:${line}` : "";
}

/**
 * The nodes in which every word of a query is found, the best ones first.
 *
 * @param {Findable[]} all
 */
export function find(all, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const found = all.filter(({ text }) => words.every((word) => text.includes(word)));
  const rank = new Map(found.map((one) => [one, rankOf(one, words[0])]));
  return found.sort((one, other) => rank.get(one) - rank.get(other));
}

function rankOf({ path, name }, word) {
  const own = path.toLowerCase();
  if (own === word || name === word) return 0;
  if (name.startsWith(word)) return 1;
  if (own.startsWith(word)) return 2;
  if (name.includes(word)) return 3;
  return own.includes(word) ? 4 : 5;
}

// What the page knows and shows. Everything that changes goes through `set`; everything that draws subscribes.

import { indexNetwork } from "./network.js";
import { createPairs } from "./compare/pairs.js";

/**
 * @typedef {object} State
 * @property {string} network  key of the network that is shown
 * @property {Set<string>} open  paths of the containers that are open
 * @property {string|null} selected  path of a node; it may be a copy, or a node that has no box of its own
 * @property {string} colour  key of a mode, or `kind`
 * @property {boolean} onlyInserted
 * @property {{path: string, way: "up"|"down"|"both"}|null} trace  what is kept: all before a node, behind it, or both
 * @property {Set<string>} dimmed  kinds of boxes that are dimmed
 * @property {"auto"|"light"|"dark"} theme
 * @property {string} query
 * @property {{boxes: Set<string>, around: Set<string>}|null} found  boxes that the query finds, and those around them
 * @property {boolean} two  whether both networks of a difference are shown beside each other
 * @property {boolean} panel
 * @property {boolean} source
 * @property {import("./types.js").Line|null} line  what was asked for in the source
 */

/** @typedef {ReturnType<typeof createStore>} Store */

/**
 * The store of one page.
 *
 * @param {import("./types.js").PageData} data
 */
export function createStore(data) {
  const networks = new Map(data.networks.map((one) => [one.key, indexNetwork(one.root, data.insides)]));
  const facts = new Map(data.networks.map((one) => [one.key, data.facts?.[one.key] ?? {}]));
  const absent = new Map(data.networks.map((one) => [one.key, new Set(one.absent)]));
  const pairs = data.changes ? createPairs(data, networks, hasNode) : null;
  const listeners = new Set();
  const revealing = new Set();
  const store = {
    data,
    /** @type {State} */
    state: {
      network: data.networks[0].key,
      open: pairs ? pairs.together(new Set(), new Set(data.open)) : new Set(data.open),
      selected: null,
      colour: data.colour,
      onlyInserted: false,
      trace: null,
      dimmed: new Set(),
      theme: "auto",
      query: "",
      found: null,
      two: false,
      panel: false,
      source: false,
      line: null,
    },
    /** Shallow merge; listeners hear of it when something is different. */
    set(patch) {
      const previous = store.state;
      if (Object.keys(patch).every((key) => patch[key] === previous[key])) return;
      store.state = { ...previous, ...patch };
      if (pairs && patch.open) store.state.open = pairs.together(previous.open, patch.open);
      for (const listener of [...listeners]) listener(store.state, previous);
    },
    /** @returns {() => void} what ends it */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /**
     * Selects a node, or nothing. `reveal` opens the containers around it; who draws moves it into view then. The
     * panel opens, unless `panel` says that it should stay as it is.
     */
    select(path, { reveal = false, panel = true, network = store.state.network } = {}) {
      if (path === null) {
        store.set({ selected: null, network });
        return;
      }
      const index = networks.get(network);
      const box = index.at(path);
      if (box === null) return;
      const around = index.around(box.path).filter((one) => !store.state.open.has(one));
      const open = reveal && around.length ? new Set([...store.state.open, ...around]) : store.state.open;
      store.set({ selected: path, network, open, panel: panel || store.state.panel });
      if (reveal) for (const listener of [...revealing]) listener(box.path, network);
    },
    /** Calls back with the path of a box that should be moved into view, and its network's key. */
    onReveal(listener) {
      revealing.add(listener);
      return () => revealing.delete(listener);
    },
    /** The index of the network that is shown: its boxes by path. */
    network: () => networks.get(store.state.network),
    indexOf: (key) => networks.get(key),
    /** The facts of a node; of a ghost, those that it had. */
    facts(path, key = store.state.network) {
      const isGhost = networks.get(key).entry(path)?.box.look === "ghost";
      return factsIn(isGhost ? pairs.otherOf(key) : key, path);
    },
    /** The facts of every node of the network that is shown, by path. */
    allFacts(key = store.state.network) {
      const first = facts.get(data.networks[0].key) ?? {};
      const own = facts.get(key) ?? {};
      const none = absent.get(key);
      return new Map(
        Object.entries({ ...first, ...own }).filter(([path]) => !none.has(path) && networks.get(key).at(path)),
      );
    },
    pairs,
    /** The box that shows a path: of a copy the folded one, of a node without a box the nearest around it. */
    box: (path) => store.network().at(path),
  };
  return store;

  /** Of the base network only what differs is written. */
  function factsIn(key, path) {
    const own = facts.get(key) ?? {};
    if (Object.hasOwn(own, path)) return own[path];
    if (absent.get(key).has(path)) return null;
    const first = facts.get(data.networks[0].key) ?? {};
    return Object.hasOwn(first, path) ? first[path] : factsOfStep(networks.get(key), path);
  }

  /** The facts of a step of an operation. */
  function factsOfStep(network, path) {
    const { box, within } = network.entry(network.at(path)?.path) ?? {};
    return within ? data.insides[within.inside].facts[box.path.slice(within.path.length + 1)] : null;
  }

  function hasNode(key, path) {
    return networks.get(key).entry(path) !== null || factsIn(key, path) !== null;
  }
}

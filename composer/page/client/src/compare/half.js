// The store as one pane sees it that shows one of two networks; the other pane shows the other.

/** @typedef {import("../store.js").State} State */
/** @typedef {import("../store.js").Store} Store */

/**
 * What is selected or found in the other network is, for this one, its counterpart.
 *
 * @param {Store} store
 * @param {(state: State) => string} keyOf  the network that this pane shows
 * @returns {Store}
 */
export function halfOf(store, keyOf) {
  /** @type {WeakMap<State, State>} */
  const known = new WeakMap();

  function seen(state) {
    if (!known.has(state)) known.set(state, translated(state));
    return known.get(state);
  }

  function translated(state) {
    const [network, there] = [keyOf(state), state.network];
    if (network === there) return state;
    const selected = state.selected === null ? null : store.pairs.counterpart(there, state.selected);
    const traced = state.trace && store.pairs.counterpart(there, state.trace.path);
    const trace = traced ? { ...state.trace, path: traced } : null;
    return { ...state, network, selected, trace, found: state.found && foundHere(state.found, there) };
  }

  function foundHere({ boxes, around }, there) {
    const here = (paths) => new Set([...paths].map((path) => store.pairs.boxOf(there, path)?.path).filter(Boolean));
    return { boxes: here(boxes), around: here(around) };
  }

  const key = () => keyOf(store.state);
  return {
    ...store,
    get state() {
      return seen(store.state);
    },
    subscribe: (listener) => store.subscribe((state, previous) => listener(seen(state), seen(previous))),
    select: (path, options = {}) => store.select(path, { ...options, network: key() }),
    onReveal: (listener) => store.onReveal((path, network) => network === key() && listener(path, network)),
    network: () => store.indexOf(key()),
    facts: (path) => store.facts(path, key()),
    allFacts: () => store.allFacts(key()),
    box: (path) => store.indexOf(key()).at(path),
  };
}

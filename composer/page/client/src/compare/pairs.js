// Two networks of a difference: which node of one is which of the other.

/** @typedef {import("../types.js").PageData} PageData */

/** @typedef {ReturnType<typeof createPairs>} Pairs */

/**
 * The first network is the one after the change, as on every page of a difference.
 *
 * @param {PageData} data
 * @param {Map<string, ReturnType<typeof import("../network.js").indexNetwork>>} networks
 * @param {(key: string, path: string) => boolean} has  whether a network has a node
 */
export function createPairs(data, networks, has) {
  const [after, before] = data.networks.map(({ key }) => key);
  const forward = new Map(data.pairs);
  const back = new Map((data.pairs ?? []).map(([one, other]) => [other, one]));

  /** The path of a node in the other network; null if it is not there. */
  function counterpart(key, path) {
    const [own, others] = key === before ? [forward, back] : [back, forward];
    const found = along(own, path);
    if (found === path && others.has(path) && !own.has(path)) return null;
    return has(otherOf(key), found) ? found : null;
  }

  const otherOf = (key) => (key === before ? after : before);

  /**
   * The box of the other network that shows the same as a box; null if there is none. A block that is drawn as its
   * copies shows what a copy holds, and not what the block does.
   */
  function boxOf(key, path) {
    const own = networks.get(key).entry(path)?.box;
    if (!own) return null;
    const found = counterpart(key, isCopies(own) ? own.copies[0] : path);
    const box = found === null ? null : networks.get(otherOf(key)).at(found);
    return box && isCopies(box) && box.path === found ? null : box;
  }

  /** Open containers, with those of both networks: what opened or closed in one does in the other. */
  function together(open, next) {
    const found = new Set(next);
    const mirror = (path, act) => {
      for (const key of [after, before]) {
        const box = boxOf(key, path);
        if (box) act(box.path);
      }
    };
    for (const path of open) if (!next.has(path)) mirror(path, (one) => found.delete(one));
    for (const path of next) if (!open.has(path)) mirror(path, (one) => found.add(one));
    return found;
  }

  return { after, before, otherOf, counterpart, boxOf, together };
}

/** Whether a block is drawn as its copies, without a frame around them. @param {import("../types.js").BoxData} box */
const isCopies = ({ copies, path }) => copies !== undefined && !copies.includes(path);

/** A path by the pairs of the nodes around it, the innermost first. */
function along(pairs, path) {
  for (let end = path.length; end > 0; end = path.lastIndexOf(".", end - 1)) {
    const found = pairs.get(path.slice(0, end));
    if (found !== undefined) return found + path.slice(end);
  }
  return path;
}

// What buttons, keys and the pointer do.

import { isInFrame } from "./dom.js";
import { closedBelow, hasClosed, openedBelow, toggled } from "./open.js";

/** @typedef {import("./store.js").Store} Store */

/** @param {Store} store */
export function createActions(store, scene, say) {
  const actions = {
    /** Opens or closes a container; it stays where it is on the screen, if all of it is seen there. An operation opens down to its last step. */
    toggle(path) {
      const network = store.network();
      const entry = network.entry(path);
      if (!entry?.box.inner) return;
      const { open } = store.state;
      scene.keep(path, !open.has(path));
      const isWhole = entry.box.inside !== undefined && !open.has(path);
      store.set({ open: isWhole ? openedBelow(network, open, path).open : toggled(open, path) });
      const isOpen = store.state.open.has(path);
      say(`${entry.box.label} ${isOpen ? `opened, ${entry.box.inner.boxes.length} boxes` : "closed"}`);
    },
    /** Opens everything in a container, or all that there is; closes it where everything is open. */
    toggleBelow(path) {
      const network = store.network();
      const box = path === null ? null : network.entry(path)?.box;
      if (path !== null && !box?.inner) return;
      if (!box && !network.root.boxes.some((one) => one.inner)) {
        say("There is nothing to open", true);
        return;
      }
      const { open } = store.state;
      const isClosed = box ? !open.has(path) || hasClosed(box.inner, open) : hasClosed(network.root, open);
      if (isClosed) actions.openBelow(path);
      else actions.closeBelow(path);
    },
    openBelow(path) {
      const { open, count, isStopped } = openedBelow(store.network(), store.state.open, path);
      if (path) scene.keep(path, true);
      store.set({ open });
      say(
        isStopped ? `Stopped at ${count} boxes: some containers stay closed` : `Everything is open: ${count} boxes`,
        isStopped,
      );
      if (!path) scene.viewport.restart();
    },
    closeBelow(path) {
      if (path) scene.keep(path);
      store.set({ open: closedBelow(store.network(), store.state.open, path) });
      say("Everything is closed");
      if (!path) scene.viewport.restart();
    },
    /** Fades everything but inserted attention, and opens what holds it. */
    setOnlyInserted(onlyInserted) {
      if (!onlyInserted) {
        store.set({ onlyInserted });
        return;
      }
      const isWanted = (box) => (box.holds?.length ?? 0) > 0;
      const { open, isStopped } = openedBelow(store.network(), store.state.open, null, isWanted);
      store.set({ onlyInserted, open });
      const first = [...store.network().entries.values()].find(({ box }) => box.rule !== undefined && !box.helper);
      if (first) scene.reveal(first.box.path);
      if (isStopped) say("Some containers with inserted attention stay closed: there are too many boxes", true);
    },
    setNetwork(network) {
      const { selected, network: here, two } = store.state;
      const box = selected === null ? null : store.box(selected);
      if (box && !two) scene.keep(box.path);
      const isOther = store.pairs && selected !== null && network !== here;
      store.set({ network, selected: (isOther ? store.pairs.counterpart(here, selected) : null) ?? selected });
    },
    copyLink() {
      if (isInFrame()) {
        say("In a frame the page has no address of its own: save it as a file, whose links can be copied", true);
        return;
      }
      navigator.clipboard?.writeText(location.href).then(
        () => say("Link copied", true),
        () => say("The link is in the address bar", true),
      );
      if (!navigator.clipboard) say("The link is in the address bar", true);
    },
  };
  return actions;
}

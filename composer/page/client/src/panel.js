// The side panel: all that is known of what is selected, or of the whole network.

import { createHandle } from "./bottom.js";
import { html } from "./dom.js";
import { nodeSections } from "./node.js";
import { networkSections } from "./overview.js";
import { pressTrace } from "./trace.js";

/** @typedef {import("./store.js").Store} Store */

/** @param {HTMLElement} element @param {Store} store */
export function mountPanel(element, store) {
  const handle = createHandle(element, store);
  let isStale = true;

  function update() {
    isStale = false;
    const { selected } = store.state;
    const sections = selected === null ? networkSections(store) : nodeSections(store, selected);
    element.replaceChildren(handle, closer(store), ...sections.filter(Boolean));
    element.scrollTop = 0;
  }

  store.subscribe((state, previous) => {
    const keys = ["selected", "network"];
    isStale ||= keys.some((key) => state[key] !== previous[key]);
    // What nobody sees is not made: keys may run through hundreds of boxes.
    if (isStale && state.panel) update();
    pressTrace(element, store);
  });
}

/** @param {Store} store */
function closer(store) {
  const button = html(
    "button",
    { type: "button", class: "close", "aria-label": "Close details", title: "Close (d)" },
    "×",
  );
  button.addEventListener("click", () => store.set({ panel: false }));
  return button;
}

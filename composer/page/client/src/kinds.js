// The kinds of nodes that a network has: what their colours mean, and a switch that dims each.

import { html } from "./dom.js";

/** @typedef {import("./types.js").BoxData} BoxData */
/** @typedef {import("./store.js").Store} Store */

const NAMES = {
  inserted: "inserted attention",
  helper: "around inserted attention",
  "k-attention": "attention of the backbone",
};

/** The kind of a box that can be dimmed; null for containers. @param {BoxData} box */
export const kindOf = (box) =>
  box.kind === "block" || !(box.look in NAMES || box.look.startsWith("k-")) ? null : box.look;

/** A list of kinds, folded; null if there are not two. @param {Store} store */
export function createKinds(store) {
  const list = html("div", { class: "kinds" });
  const summary = html("summary", { title: "Kinds of nodes (k)" }, "Kinds");
  const element = html("details", {}, summary, list);
  let drawnOf = "";

  function draw() {
    drawnOf = store.state.network;
    const found = new Set();
    for (const { box } of store.network().entries.values()) found.add(kindOf(box));
    found.delete(null);
    list.replaceChildren(...[...found].sort().map(button));
    element.hidden = found.size < 2;
  }

  function button(kind) {
    const name = NAMES[kind] ?? kind.replace("k-", "").replaceAll("-", " ");
    const swatch = html("span", { class: `swatch ${kind}`, "aria-hidden": "true" });
    const one = html(
      "button",
      { type: "button", "data-kind": kind, title: `Dim ${name}, or show it again` },
      swatch,
      name,
    );
    one.addEventListener("click", () => {
      const dimmed = new Set(store.state.dimmed);
      if (!dimmed.delete(kind)) dimmed.add(kind);
      store.set({ dimmed });
    });
    return one;
  }

  function update() {
    if (drawnOf !== store.state.network) draw();
    for (const one of list.children) {
      one.setAttribute("aria-pressed", String(!store.state.dimmed.has(/** @type {any} */ (one).dataset.kind)));
    }
  }

  update();
  store.subscribe(update);
  return {
    element,
    /** Closes the list; whether it was open. */
    close() {
      const { open } = element;
      element.open = false;
      return open;
    },
    /** Opens the list and goes to its first switch, or closes it. */
    toggle() {
      element.open = !element.open;
      if (element.open) list.querySelector("button")?.focus();
    },
  };
}
